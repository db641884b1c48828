//! A figure beside its yardstick, and whether it meets its goal.

use std::fmt;

use serde::Serialize;

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At most this many times the yardstick.
    AtMost(f64),
    /// At least this many times the yardstick.
    AtLeast(f64),
    /// Said for comparison.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Met,
    Missed,
    /// The spread of the measurements is wider than the distance from the goal.
    Undecided,
    NoGoal,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) yardstick: String,
    pub(crate) yardstick_value: f64,
    pub(crate) ratio: f64,
    /// Lowest and highest ratio of the groups of runs.
    pub(crate) ratios: (f64, f64),
    pub(crate) goal: Goal,
    pub(crate) outcome: Outcome,
}

/// Measurements of one thing, by group: groups lie apart in time, so their spread is the noise.
#[derive(Clone, Debug)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

/// Which of many runs is the one undisturbed.
#[derive(Clone, Copy)]
pub(crate) enum Best {
    Least,
    Most,
}

impl Samples {
    pub(crate) fn best(&self, best: Best) -> f64 {
        match best {
            Best::Least => self.0.iter().copied().fold(f64::INFINITY, f64::min),
            Best::Most => self.0.iter().copied().fold(0.0, f64::max),
        }
    }
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        best: Best,
        samples: &Samples,
        (yardstick, beside): (&str, &Samples),
        goal: Goal,
    ) -> Self {
        let ratios: Vec<f64> = samples
            .0
            .iter()
            .zip(&beside.0)
            .map(|(value, yardstick)| value / yardstick)
            .collect();
        let (value, yardstick_value) = (samples.best(best), beside.best(best));
        let ratio = value / yardstick_value;
        let low = ratios.iter().copied().fold(ratio, f64::min);
        let high = ratios.iter().copied().fold(ratio, f64::max);
        let outcome = match goal {
            Goal::None => Outcome::NoGoal,
            Goal::AtMost(goal) if high <= goal => Outcome::Met,
            Goal::AtMost(goal) if low > goal => Outcome::Missed,
            Goal::AtLeast(goal) if low >= goal => Outcome::Met,
            Goal::AtLeast(goal) if high < goal => Outcome::Missed,
            Goal::AtMost(_) | Goal::AtLeast(_) => Outcome::Undecided,
        };
        Self {
            name: name.into(),
            unit,
            value,
            yardstick: yardstick.to_owned(),
            yardstick_value,
            ratio,
            ratios: (low, high),
            goal,
            outcome,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.ratios;
        write!(
            f,
            "{:44} {:8.2} {:6} {:28} {:8.2}  x{:.2} ({low:.2}-{high:.2})",
            self.name, self.value, self.unit, self.yardstick, self.yardstick_value, self.ratio,
        )?;
        match self.goal {
            Goal::AtMost(goal) => write!(f, "  goal <= {goal:.2}")?,
            Goal::AtLeast(goal) => write!(f, "  goal >= {goal:.2}")?,
            Goal::None => {}
        }
        f.write_str(match self.outcome {
            Outcome::Met => "  met",
            Outcome::Missed => "  missed",
            Outcome::Undecided => "  undecided",
            Outcome::NoGoal => "",
        })
    }
}
