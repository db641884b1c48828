//! A figure beside its yardstick, and whether it meets its goal.

/// What is asked of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this many times the yardstick.
    AtMost(f64),
    /// At least this many times the yardstick.
    AtLeast(f64),
    /// Said for comparison.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Met,
    Missed,
    /// The spread of the measurements is wider than the distance from the goal.
    Undecided,
    NoGoal,
}

#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    yardstick: String,
    yardstick_value: f64,
    ratio: f64,
    /// Lowest and highest ratio of the groups of runs.
    ratios: (f64, f64),
    goal: Goal,
    outcome: Outcome,
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

impl Figure {
    /// A row for people.
    pub(crate) fn cells(&self) -> Vec<String> {
        let (low, high) = self.ratios;
        vec![
            self.name.clone(),
            format!("{:.2}", self.value),
            self.unit.to_owned(),
            self.yardstick.clone(),
            format!("{:.2}", self.yardstick_value),
            format!("{:.2}", self.ratio),
            format!("{low:.2}-{high:.2}"),
            match self.goal {
                Goal::AtMost(goal) => format!("at most {goal:.2}"),
                Goal::AtLeast(goal) => format!("at least {goal:.2}"),
                Goal::None => String::new(),
            },
            match self.outcome {
                Outcome::Met => "met",
                Outcome::Missed => "missed",
                Outcome::Undecided => "undecided",
                Outcome::NoGoal => "",
            }
            .to_owned(),
        ]
    }
}
