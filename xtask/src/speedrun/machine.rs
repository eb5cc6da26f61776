//! The machine that the figures were measured on.

use std::process::Command;

/// Processor, cores and memory, as far as the system reports them.
pub fn describe() -> String {
    let processor = processor().unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let plural = if cores == 1 { "" } else { "s" };
    let memory = memory().map_or("unknown memory".into(), |bytes| {
        format!("{:.1} GiB of memory", bytes as f64 / f64::from(1 << 30))
    });
    format!("{processor}, {cores} core{plural}, {memory}")
}

fn processor() -> Option<String> {
    if cfg!(target_os = "macos") {
        return sysctl("machdep.cpu.brand_string");
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    value(&text, "model name").map(str::to_owned)
}

fn memory() -> Option<u64> {
    if cfg!(target_os = "macos") {
        return sysctl("hw.memsize")?.parse().ok();
    }
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    kibibytes(value(&text, "MemTotal")?)
}

fn kibibytes(text: &str) -> Option<u64> {
    let number: u64 = text.strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// The value after the first `key :` in a text.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find_map(|(name, value)| (name == key && !value.is_empty()).then_some(value))
}

fn sysctl(name: &str) -> Option<String> {
    let output = Command::new("sysctl").args(["-n", name]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{kibibytes, value};

    #[test]
    fn values_are_found_by_their_whole_names() {
        let text = "model\t\t: 17\nmodel name\t: Some CPU @ 2.0GHz\nMemTotal:       16 kB\n";
        assert_eq!(value(text, "model name"), Some("Some CPU @ 2.0GHz"));
        assert_eq!(value(text, "name"), None);
        assert_eq!(value(text, "MemTotal").and_then(kibibytes), Some(16 * 1024));
        assert_eq!(kibibytes("16 MB"), None);
    }
}
