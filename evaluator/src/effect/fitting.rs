//! All learners on one set of rows, sharing what they have in common.

use boost::{Matrix, Objective};
use rayon::prelude::*;

use super::joint::{self, Joint, Of};
use super::learner::{Cate, Learner, Meta};
use super::panel::{Bought, Panel, Target, with_arm};
use super::response::{Base, Lesson, Response};
use crate::error::Result;

/// Responses of one base: of all arms together and of each.
pub(super) struct Responses {
    pub(super) together: Together,
    pub(super) apart: Vec<Response>,
}

/// One model of all arms.
pub(super) enum Together {
    /// That takes flags of the arms.
    Flags(Response),
    /// That knows of arms.
    Joint(Joint),
}

impl Together {
    /// What it says of every arm.
    pub(super) fn means(&self, row: &[f64], arms: &[Vec<f64>]) -> Vec<f64> {
        match self {
            Self::Flags(response) => {
                (0..arms.len()).map(|arm| response.predict(&with_arm(row, arm, arms, false))).collect()
            }
            Self::Joint(joint) => joint.means(row),
        }
    }

    /// What it says of the control.
    pub(super) fn control(&self, arms: &[Vec<f64>]) -> Response {
        match self {
            Self::Flags(response) => {
                Response::Untreated { of: Box::new(response.clone()), arms: arms.to_vec() }
            }
            Self::Joint(joint) => Response::Control { of: joint.without_draws() },
        }
    }

    /// The model that knows of arms, with what it leaves open.
    pub(super) fn doubt(self) -> Option<Joint> {
        match self {
            Self::Flags(_) => None,
            Self::Joint(joint) => Some(joint),
        }
    }

    fn effect(&self) -> Cate {
        match self {
            Self::Flags(response) => Cate::Single(response.clone()),
            Self::Joint(joint) => Cate::Joint(joint.without_draws()),
        }
    }
}

/// Everything fitted on some rows.
pub(super) struct Fitted {
    /// By base, as in [`Base::ALL`].
    pub(super) responses: Vec<Responses>,
    /// By arm from 1, then by learner as in [`Learner::ALL`].
    pub(super) effects: Vec<Vec<Cate>>,
}

/// Rows to fit on.
pub(super) struct Ground<'a> {
    pub(super) panel: &'a Panel,
    pub(super) target: Target<'a>,
    pub(super) seed: u64,
}

impl Ground<'_> {
    fn lesson(&self, rows: &[usize], features: &Matrix, base: Base) -> Result<Response> {
        let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
        let values = pick(self.target.values);
        let event = self.target.event.map(pick);
        let objective = self.target.objective;
        Lesson { features, values: &values, objective, event: event.as_deref(), seed: self.seed }.fit(base)
    }

    /// A model of an effect: of the person alone, for what the time does to an effect is far less than what chance does.
    fn regression(&self, rows: &[usize], values: &[f64], base: Base) -> Result<Response> {
        let features = self.panel.person(rows)?;
        let objective = Objective::Squared;
        Lesson { features: &features, values, objective, event: None, seed: self.seed }.fit(base)
    }

    /// One model of all arms.
    fn together(&self, rows: &[usize], base: Base) -> Result<Together> {
        let panel = self.panel;
        if base == Base::Linear {
            let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
            let values = pick(self.target.values);
            let (event, discount) = (self.target.event.map(pick), self.target.discount.map(pick));
            let bought = panel.bought.as_ref().map(|bought| bought.select(rows));
            let purchases = bought.as_ref().map(Bought::purchases);
            let lesson = joint::Lesson {
                features: &panel.features.select(rows),
                of_time: panel.of_time,
                action: &rows.iter().map(|&row| panel.action[row]).collect::<Vec<_>>(),
                steps: &panel.steps,
                values: &values,
                objective: self.target.objective,
                seed: self.seed,
            };
            let of = match (&event, &discount) {
                (None, _) => Of::Itself,
                (Some(event), None) => Of::Amount(event),
                (Some(event), Some(discount)) => Of::Left(event, discount),
            };
            return Ok(Together::Joint(Joint::fit(lesson, of, purchases)?));
        }
        let mut values = Vec::new();
        for &row in rows {
            values.extend(with_arm(panel.features.row(row), panel.action[row], &panel.arms, false));
        }
        let columns = values.len() / rows.len().max(1);
        let features = Matrix::new(values, rows.len(), columns)
            .map_err(|error| crate::error::Error::Internal(error.to_string()))?;
        Ok(Together::Flags(self.lesson(rows, &features, base)?))
    }

    /// One model an arm.
    fn apart(&self, rows: &[usize], base: Base) -> Result<Vec<Response>> {
        let of_arm = |arm: usize| {
            let mine = self.of_arm(rows, arm);
            self.lesson(&mine, &self.panel.features.select(&mine), base)
        };
        (0..self.panel.arms.len()).map(of_arm).collect()
    }

    fn of_arm(&self, rows: &[usize], arm: usize) -> Vec<usize> {
        rows.iter().copied().filter(|&row| self.panel.action[row] == arm).collect()
    }

    /// X's two regressions for `arm`.
    fn cross(&self, rows: &[usize], arm: usize, apart: &[Response], base: Base) -> Result<Cate> {
        let (treated, control) = (self.of_arm(rows, arm), self.of_arm(rows, 0));
        let at = |row: usize| self.panel.features.row(row);
        let value = self.target.values;
        let gained: Vec<f64> = treated.iter().map(|&r| value[r] - apart[0].predict(at(r))).collect();
        let missed: Vec<f64> = control.iter().map(|&r| apart[arm].predict(at(r)) - value[r]).collect();
        Ok(Cate::Cross {
            of_treated: self.regression(&treated, &gained, base)?,
            of_control: self.regression(&control, &missed, base)?,
            share: treated.len() as f64 / (treated.len() + control.len()).max(1) as f64,
        })
    }

    /// Responses of each arm for each of `rows`, from models fitted on the other half.
    fn halves(&self, rows: &[usize], base: Base) -> Result<Vec<Vec<f64>>> {
        // Every other row of each arm, so that both halves know all arms.
        let mut side = vec![false; rows.len()];
        let mut flips = vec![false; self.panel.arms.len()];
        for (at, &row) in rows.iter().enumerate() {
            let flip = &mut flips[self.panel.action[row]];
            side[at] = *flip;
            *flip = !*flip;
        }
        let mut found = vec![Vec::new(); rows.len()];
        for half in [false, true] {
            let learnt: Vec<usize> =
                rows.iter().zip(&side).filter(|(_, s)| **s == half).map(|(&r, _)| r).collect();
            let apart = self.apart(&learnt, base)?;
            for (at, &row) in rows.iter().enumerate().filter(|(at, _)| side[*at] != half) {
                found[at] = apart.iter().map(|arm| arm.predict(self.panel.features.row(row))).collect();
            }
        }
        Ok(found)
    }

    fn fit_base(&self, rows: &[usize], base: Base) -> Result<(Responses, Vec<Vec<Cate>>)> {
        let together = self.together(rows, base)?;
        let apart = self.apart(rows, base)?;
        let halves = self.halves(rows, base)?;
        let of_arm = |arm: usize| -> Result<Vec<Cate>> {
            let pseudo: Vec<f64> = rows
                .iter()
                .zip(&halves)
                .map(|(&row, guess)| pseudo(self.panel, self.target.values, row, arm, guess))
                .collect();
            let learners = Learner::ALL.into_iter().filter(|learner| learner.base == base);
            learners
                .map(|learner| {
                    Ok(match learner.meta {
                        Meta::S => together.effect(),
                        Meta::T => {
                            Cate::Difference { treated: apart[arm].clone(), control: apart[0].clone() }
                        }
                        Meta::X => self.cross(rows, arm, &apart, base)?,
                        Meta::Dr => Cate::Direct(self.regression(rows, &pseudo, base)?),
                    })
                })
                .collect()
        };
        let effects = (1..self.panel.arms.len()).into_par_iter().map(of_arm).collect::<Result<_>>()?;
        Ok((Responses { together, apart }, effects))
    }

    /// Fits all learners on `rows`.
    pub(super) fn fit(&self, rows: &[usize]) -> Result<Fitted> {
        let (linear, trees) =
            rayon::join(|| self.fit_base(rows, Base::Linear), || self.fit_base(rows, Base::Trees));
        let ((linear, mut effects), (trees, of_trees)) = (linear?, trees?);
        effects.iter_mut().zip(of_trees).for_each(|(all, more)| all.extend(more));
        Ok(Fitted { responses: vec![linear, trees], effects })
    }
}

/// The doubly robust pseudo-outcome of `arm` against the control: its mean is the average effect when either the
/// responses or the propensities are right (Robins, Rotnitzky and Zhao 1994). `guess` holds the response of each arm.
pub(super) fn pseudo(panel: &Panel, values: &[f64], row: usize, arm: usize, guess: &[f64]) -> f64 {
    let action = panel.action[row];
    let residual = if action == arm {
        (values[row] - guess[arm]) / panel.propensity[row]
    } else if action == 0 {
        -(values[row] - guess[0]) / panel.propensity[row]
    } else {
        0.0
    };
    guess[arm] - guess[0] + residual
}
