//! `evaluate`: how a saved network does on the test images.

use anyhow::Context;
use layers::{Loss, metadata_of, network_of};
use tensor::Element;

use crate::cli::EvaluateFlags;
use crate::console::Console;
use crate::dataset::{self, Part, Samples};
use crate::evaluation::Evaluator;
use crate::{report, threads};

/// Tests a model as the flags say.
///
/// # Errors
/// If the model or the data are not what they should be.
pub fn run(flags: &EvaluateFlags) -> anyhow::Result<()> {
    threads::simd_level()?;
    let model = || format!("model {}", flags.model.display());
    let bytes = std::fs::read(&flags.model).with_context(model)?;
    let metadata = metadata_of(&bytes).with_context(model)?;
    // Without a word on the precision: f64 holds the numbers of either.
    let single = metadata.get("precision").is_some_and(|precision| precision == "f32");
    let loss = metadata.get("loss").and_then(|text| serde_json::from_str(text).ok());
    threads::pool(flags.threads)?.install(|| {
        if single { test::<f32>(flags, &bytes, loss) } else { test::<f64>(flags, &bytes, loss) }
    })
}

fn test<T: Element>(flags: &EvaluateFlags, bytes: &[u8], loss: Option<Loss>) -> anyhow::Result<()> {
    let model = || format!("model {}", flags.model.display());
    let network = network_of::<T>(bytes).with_context(model)?;
    let data = dataset::folder(flags.data.as_deref())?;
    let samples = Samples::load(&data, Part::Test)?.first(flags.test_limit.map(Into::into));
    samples.fit(&network).with_context(model)?;
    let loss = loss.unwrap_or(Loss::MeanSquaredError);
    let evaluation = Evaluator::new(&network).evaluate(&network, loss, &samples);
    let name = loss.name();
    let (correct, total) = (evaluation.correct(&samples), samples.len());
    let mut console = Console::default();
    console.line(format_args!(
        "{correct} of {total} test images right ({}), mean {name} {:.4}",
        report::percent(correct, total),
        evaluation.error()
    ))?;
    console.print(report::confusion_table(&evaluation, &samples))
}
