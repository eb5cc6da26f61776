#!/usr/bin/env python3
"""Writes what PyTorch's optimizers and schedules do, for the tests to compare with.

    python3 scripts/optimizer_fixtures.py

needs torch, numpy and safetensors, takes half a minute, and writes

    crates/layers/tests/fixtures/optimizers.safetensors   20 steps of each optimizer
    crates/layers/tests/fixtures/schedules.safetensors    learning rates of whole runs,
                                                          and single ones of many

All numbers are float64. A name is `CASE/ARRAY`; `__metadata__` holds one JSON object
under "cases", from a case's name to its settings in the form that `layers` reads. The
problem is the same for all optimizers: a dense layer, tanh, a dense layer, the mean
squared error over a batch that is another one each step.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

LAYERS = Path(__file__).resolve().parent.parent / "crates" / "layers" / "tests" / "fixtures"
STEPS, SAMPLES, INPUTS, HIDDEN, OUTPUTS, RATE = 20, 7, 5, 11, 3, 0.05


def write(file, arrays, cases):
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, LAYERS / file, {"cases": json.dumps(cases)})
    print(f"{file}: {len(cases)} cases, {(LAYERS / file).stat().st_size} bytes")


def decayed(**settings):
    return {"weight_decay": 0.1} | settings


# Name, PyTorch's optimizer, ours; then the norm to clip to, and the average's decay.
OPTIMIZERS = [
    ("sgd", lambda p: SGD(p, RATE), {"type": "sgd"}),
    ("sgd_decay", lambda p: SGD(p, RATE, weight_decay=0.1), decayed(type="sgd")),
    ("momentum", lambda p: SGD(p, RATE, momentum=0.9), {"type": "sgd", "momentum": 0.9}),
    (
        "nesterov_decay",
        lambda p: SGD(p, RATE, momentum=0.8, nesterov=True, weight_decay=0.1),
        decayed(type="sgd", momentum=0.8, nesterov=True),
    ),
    ("adam", lambda p: Adam(p, RATE), {"type": "adam"}),
    (
        "adam_decay",
        lambda p: Adam(p, RATE, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        decayed(type="adam", beta1=0.8, beta2=0.95, epsilon=1e-3),
    ),
    ("adamw", lambda p: AdamW(p, RATE), {"type": "adamw"}),
    ("adamw_decay", lambda p: AdamW(p, RATE, weight_decay=0.1), decayed(type="adamw")),
    ("clipped", lambda p: SGD(p, RATE, momentum=0.9), {"type": "sgd", "momentum": 0.9}, 0.3),
    ("averaged", lambda p: Adam(p, RATE), {"type": "adam"}, None, 0.9),
]


def spared_biases(parameters):
    """AdamW without decay of the biases, as groups of parameters."""
    weights = [p for p in parameters if p.dim() > 1]
    biases = [p for p in parameters if p.dim() == 1]
    return AdamW([{"params": weights}, {"params": biases, "weight_decay": 0.0}], RATE, weight_decay=0.2)


OPTIMIZERS.append(
    ("adamw_weights", spared_biases, {"type": "adamw", "weight_decay": 0.2, "decay_biases": False})
)


class Lion(torch.optim.Optimizer):
    """Chen et al. (2023), algorithm 2, which PyTorch does not have."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                mean = self.state[w].setdefault("mean", torch.zeros_like(w))
                w.mul_(1 - group["lr"] * group["weight_decay"])
                w.sub_(torch.sign(beta1 * mean + (1 - beta1) * w.grad), alpha=group["lr"])
                mean.mul_(beta2).add_(w.grad, alpha=1 - beta2)


OPTIMIZERS += [
    ("rmsprop", lambda p: RMSprop(p, RATE), {"type": "rmsprop"}),
    (
        "rmsprop_momentum",
        lambda p: RMSprop(p, RATE, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.8),
        decayed(type="rmsprop", alpha=0.9, epsilon=1e-3, momentum=0.8),
    ),
    ("lion", lambda p: Lion(p, RATE), {"type": "lion"}),
    (
        "lion_decay",
        lambda p: Lion(p, RATE, betas=(0.8, 0.95), weight_decay=0.1),
        decayed(type="lion", beta1=0.8, beta2=0.95),
    ),
]


def optimizers():
    torch.manual_seed(7)
    model = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, OUTPUTS)
    )
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    x, t = torch.randn(STEPS, SAMPLES, INPUTS), torch.randn(STEPS, SAMPLES, OUTPUTS)
    arrays = {"problem/inputs": x.numpy(), "problem/targets": t.numpy()}
    arrays |= {f"problem/{name}": p.numpy() for name, p in start.items()}
    cases = {}
    for case, make, ours, *rest in OPTIMIZERS:
        clip, decay = (*rest, None, None)[:2]
        model.load_state_dict(start)
        optimizer = make(list(model.parameters()))
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay or 0.0))
        trace = []
        for step in range(STEPS):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x[step]), t[step]).backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            average.update_parameters(model)
            trace.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        arrays[f"{case}/parameters"] = torch.stack(trace).numpy()
        averaged = [p.detach().flatten() for p in average.module.parameters()]
        arrays[f"{case}/average"] = torch.cat(averaged).numpy()
        cases[case] = {"optimizer": ours, "rate": RATE, "clip_norm": clip, "average": decay}
    write("optimizers.safetensors", arrays, cases)


def schedules():
    def rates(make, total):
        optimizer = SGD([torch.zeros(1, requires_grad=True)], RATE)
        schedule, all_rates = make(optimizer), []
        for _ in range(total):
            all_rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step() if len(all_rates) < total else None
        return np.array(all_rates)

    def one_cycle(total, **settings):
        return lambda o: OneCycleLR(o, RATE, total_steps=total, cycle_momentum=False, **settings)

    all_rates = {
        "one_cycle-100": (one_cycle(100), 100, {"type": "one_cycle"}),
        "one_cycle-37": (
            one_cycle(37, pct_start=0.2, div_factor=10.0, final_div_factor=100.0),
            37,
            {"type": "one_cycle", "rise": 0.2, "start_divisor": 10.0, "end_divisor": 100.0},
        ),
        "cosine-53": (lambda o: CosineAnnealingLR(o, 53), 53, {"type": "cosine"}),
        "cosine-40": (
            lambda o: CosineAnnealingLR(o, 40, eta_min=0.1 * RATE),
            40,
            {"type": "cosine", "end": 0.1},
        ),
        "step-60": (
            lambda o: MultiStepLR(o, [30, 45], gamma=0.2),
            60,
            {"type": "step", "at": [0.5, 0.75], "factor": 0.2},
        ),
    }
    arrays = {f"{case}/rates": rates(make, n) for case, (make, n, _) in all_rates.items()}
    cases = {case: {"schedule": ours, "rate": RATE} for case, (_, _, ours) in all_rates.items()}
    # Every length from 1 to 400 and every hundredth of it, at one step each.
    still = SGD([torch.zeros(1, requires_grad=True)], RATE)
    still.step()
    sampled = np.full((400, 100), np.nan)
    for total in range(1, 401):
        for hundredth in range(100):
            try:
                schedule = one_cycle(total, pct_start=hundredth / 100)(still)
                schedule.last_epoch = sampled_step(total, hundredth) - 1
                schedule.step()
            except ZeroDivisionError:
                continue  # a rise of a single step
            sampled[total - 1, hundredth] = still.param_groups[0]["lr"]
    arrays["sampled/one_cycle"] = sampled
    for name, end in (("cosine", 0.0), ("cosine-0.1", 0.1)):
        arrays[f"sampled/{name}"] = np.array([
            rates(lambda o, n=n: CosineAnnealingLR(o, n, eta_min=end * RATE), n)[sampled_step(n, 0)]
            for n in range(1, 401)
        ])
    write("schedules.safetensors", arrays, cases)


def sampled_step(total, hundredth):
    """The step of a run that is compared."""
    return (31 * hundredth + 7 * total) % total


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    optimizers()
    schedules()
