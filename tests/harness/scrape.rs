//! What a gate shows of itself at `/metrics`, read as strictly as a Prometheus server reads it.
//!
//! A text that breaks a rule of the format is an error, not half a scrape: names are described once
//! and before their samples, no series comes twice, buckets add up.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Families by name.
#[derive(Debug)]
pub struct Scrape(pub BTreeMap<String, Family>);

#[derive(Debug)]
pub struct Family {
    pub kind: String,
    /// What each has, as it is written.
    series: BTreeMap<Series, String>,
}

/// A sample's own name, and its labels.
type Series = (String, BTreeMap<String, String>);

impl Scrape {
    pub fn read(text: &str) -> anyhow::Result<Self> {
        ensure!(text.ends_with('\n'), "the last line has no end");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let (mut helped, mut current) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').context("no help")?;
                ensure!(is_name(name) && !help.trim().is_empty(), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').context("no type")?;
                ensure!(name == helped, "{name} has no help");
                ensure!(["gauge", "counter", "histogram"].contains(&kind), "{line}");
                let is_total = name.ends_with("_total");
                ensure!(is_total == (kind == "counter"), "{name} is a {kind}");
                let family = Family {
                    kind: kind.to_owned(),
                    series: BTreeMap::new(),
                };
                let twice = families.insert(name.to_owned(), family);
                ensure!(twice.is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else {
                let (series, value) = sample(line).with_context(|| line.to_owned())?;
                let family = families.get_mut(&current).context("no family yet")?;
                ensure!(family.holds(&current, &series.0), "{line} in {current}");
                let twice = family.series.insert(series, value);
                ensure!(twice.is_none(), "{line} comes twice");
            }
        }
        for (name, family) in &families {
            family.check(name).with_context(|| name.clone())?;
        }
        Ok(Self(families))
    }

    /// A whole number: the sample with this name and exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.find(name, labels)
    }

    /// The same of one that is a time.
    pub fn seconds(&self, name: &str, labels: &[(&str, &str)]) -> Duration {
        Duration::from_secs_f64(self.find(name, labels))
    }

    fn find<T: FromStr>(&self, name: &str, labels: &[(&str, &str)]) -> T {
        let pairs = labels.iter().copied();
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let series = (name.to_owned(), pairs.collect());
        let mut families = self.0.values();
        let found = families.find_map(|family| family.series.get(&series));
        match found.map(|value| value.parse()) {
            Some(Ok(value)) => value,
            Some(Err(_)) | None => panic!("no {name} {labels:?} of that kind in {self:#?}"),
        }
    }

    /// Every name that a sample has.
    pub fn samples(&self) -> impl Iterator<Item = &str> {
        let series = self.0.values().flat_map(|family| family.series.keys());
        series.map(|(name, _)| name.as_str())
    }
}

impl Family {
    fn holds(&self, family: &str, sample: &str) -> bool {
        match sample.strip_prefix(family) {
            Some("") => self.kind != "histogram",
            Some("_bucket" | "_sum" | "_count") => self.kind == "histogram",
            Some(_) | None => false,
        }
    }

    fn check(&self, name: &str) -> anyhow::Result<()> {
        if self.kind != "gauge" {
            let is_below = |value: &String| value.starts_with('-');
            ensure!(!self.series.values().any(is_below), "below 0");
        }
        if self.kind != "histogram" {
            return Ok(());
        }
        let mut buckets: BTreeMap<_, Vec<(f64, u64)>> = BTreeMap::new();
        for ((sample, labels), value) in &self.series {
            if sample.ends_with("_bucket") {
                let mut labels = labels.clone();
                let bound = labels.remove("le").context("a bucket without a bound")?;
                let bound = bound.replace("+Inf", "inf").parse()?;
                buckets
                    .entry(labels)
                    .or_default()
                    .push((bound, value.parse()?));
            }
        }
        ensure!(!buckets.is_empty(), "no buckets");
        let beside = |part: &str, labels: &BTreeMap<String, String>| {
            let series = (format!("{name}{part}"), labels.clone());
            self.series.get(&series)
        };
        for (labels, mut steps) in buckets {
            steps.sort_by(|one, other| one.0.total_cmp(&other.0));
            let grows = steps.windows(2).all(|two| two[0].1 <= two[1].1);
            ensure!(grows, "buckets do not add up: {steps:?}");
            let (bound, last) = steps.last().context("no steps")?;
            let count: u64 = beside("_count", &labels).context("no count")?.parse()?;
            ensure!(
                bound.is_infinite() && *last == count,
                "up to {bound} are {last}, of {count} in all"
            );
            beside("_sum", &labels).context("no sum")?;
        }
        Ok(())
    }
}

fn sample(line: &str) -> anyhow::Result<(Series, String)> {
    let (head, value) = line.rsplit_once(' ').context("no value")?;
    ensure!(value.parse::<f64>()?.is_finite(), "no number");
    let (name, labels) = match head.split_once('{') {
        Some((name, rest)) => (name, labels(rest)?),
        None => (head, BTreeMap::new()),
    };
    ensure!(is_name(name), "no name");
    Ok(((name.to_owned(), labels), value.to_owned()))
}

/// What stands behind the opening brace.
fn labels(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        let (name, quoted) = rest.split_once("=\"").context("no label")?;
        ensure!(is_name(name), "no name of a label: {name}");
        let (mut value, mut letters) = (String::new(), quoted.char_indices());
        let end = loop {
            match letters.next().context("no closing quote")? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match letters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, escaped @ ('\\' | '"'))) => escaped,
                    other => bail!("no such escape: {other:?}"),
                }),
                (_, letter) => value.push(letter),
            }
        };
        let twice = labels.insert(name.to_owned(), value);
        ensure!(twice.is_none(), "{name} comes twice");
        match quoted.get(end..) {
            Some("}") => return Ok(labels),
            Some(more) if more.starts_with(',') => rest = &more[1..],
            other => bail!("behind a label: {other:?}"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_seconds How long.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{of=\"x\\\"},y\",le=\"0.5\"} 1\na_seconds_bucket{of=\"x\\\"},y\",le=\"+Inf\"} 2\n\
        a_seconds_sum{of=\"x\\\"},y\"} 3.5\na_seconds_count{of=\"x\\\"},y\"} 2\n\
        # HELP b_total How many.\n# TYPE b_total counter\nb_total 7\n";

    #[test]
    fn well_formed_text_is_read() {
        let scrape = Scrape::read(GOOD).unwrap();
        assert_eq!(scrape.value("b_total", &[]), 7);
        let labels = [("of", "x\"},y")];
        assert_eq!(scrape.value("a_seconds_count", &labels), 2);
        let sum = scrape.seconds("a_seconds_sum", &labels);
        assert_eq!(sum, Duration::from_millis(3500));
    }

    #[test]
    fn text_that_breaks_a_rule_is_not_read() {
        for (from, to) in [
            ("\"0.5\"} 1", "\"0.5\"} 3"),
            ("\"+Inf\"} 2", "\"+Inf\"} 1"),
            ("\"+Inf\"} 2", "\"0.7\"} 2"),
            ("a_seconds_sum", "a_seconds_max"),
            ("# HELP b_total How many.\n", ""),
            ("b_total counter", "b_total gauge"),
            ("b_total 7\n", "b_total 7"),
            ("b_total 7\n", "b_total 7\nb_total 8\n"),
            ("b_total 7\n", "b_total -7\n"),
            ("b_total 7\n", "b_total NaN\n"),
            ("b_total 7\n", "b_total{x=\"1\"y=\"2\"} 7\n"),
            ("b_total 7\n", "c_total 7\n"),
            ("b_total 7\n", "b_total 7\n# TYPE b_total counter\n"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            assert!(Scrape::read(&bad).is_err(), "{bad}");
        }
    }
}
