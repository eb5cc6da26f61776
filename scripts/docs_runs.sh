#!/bin/sh
# Trains all networks that the chapters in docs/ mention, prints their tables and draws
# their curves: a few minutes on two cores. From the repository's root:
#
#     sh scripts/docs_runs.sh [RUNS]
#
# The runs are kept in the folder RUNS (default: runs/docs). One that exists already is
# not trained again, so an interrupted script can be continued; to measure anew, delete the folder.
set -eu

runs=${1:-runs/docs}
cargo build --release --package mnist-app
app=${CARGO_TARGET_DIR:-target}/release/mnist-app

# run NAME SEED FLAGS...: one run, in a folder of its own.
run() {
    folder=$runs/$1-$2
    seed=$2
    [ -e "$folder/summary.json" ] && return
    rm -rf "$folder"
    shift 2
    echo "$folder" >&2
    "$app" train "$@" --seed "$seed" --quiet --out "$folder" >/dev/null
}

for seed in 1 2 3; do
    for preset in notebook notebook-tuned fast; do
        run $preset $seed --preset $preset
    done
    for config in docs/configs/notebook-*.toml docs/configs/fast-*.toml; do
        run "$(basename "$config" .toml)" $seed --config "$config"
    done
    # As many steps as preset fast takes, with eight looks at the network on the way.
    eight="--epochs 8 --train-limit 15000"
    run eight-one-cycle $seed --preset fast $eight
    run eight-constant $seed --config docs/configs/fast-constant.toml $eight
    run eight-high $seed --config docs/configs/fast-constant.toml --learning-rate 0.008 $eight
    # Too short to be good, long enough to compare.
    short="--epochs 2 --train-limit 20000"
    run short-tiny $seed --preset tiny $short
    run short-no-norm $seed --config docs/configs/tiny-no-norm.toml $short
    run short-flatten $seed --config docs/configs/tiny-flatten.toml $short
    for epochs in 2 12; do
        few="--epochs $epochs --train-limit 10000"
        run few-$epochs-plain $seed --preset fast $few
        run few-$epochs-augmented $seed --config docs/configs/fast-augmented.toml $few
    done
done

curves() {
    file=$1 title=$2
    shift 2
    for curve; do
        for seed in 1 2 3; do
            set -- "$@" "${curve%=*}=$runs/${curve#*=}-$seed"
        done
        shift
    done
    python3 scripts/plot_curves.py "docs/figures/$file" --title "$title" "$@"
}

echo "Chapters 1 and 2"
cargo run --release --package mnist-app --example chapters -- docs/figures
echo "Chapter 3"
python3 scripts/table.py "$runs"/notebook*
echo "Chapter 4"
python3 scripts/table.py "$runs"/fast*
echo "Chapter 5: two epochs of 20,000 images"
python3 scripts/table.py "$runs"/short-*
for epochs in 2 12; do
    echo "Chapter 6: $epochs epochs of 10,000 images"
    python3 scripts/table.py "$runs"/few-$epochs-*
done
curves notebook.svg "The notebook's layers and its 1000 images" \
    notebook-tuned=notebook-tuned "Xavier, rate 0.1=notebook-xavier-rate" \
    "N(0, 1), rate 0.1=notebook-rate" notebook=notebook
curves schedule.svg "Eight epochs of 15,000 images" \
    "one cycle, up to 0.008=eight-one-cycle" "constant 0.002=eight-constant" \
    "constant 0.008=eight-high"
