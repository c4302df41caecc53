//! What a model is fitted with, whatever its kind: parameters by name, each with its range.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Algorithm, AlsSettings, BlendSettings, EaseSettings, FitError, ItemKnnSettings, PopularitySettings,
    TransitionSettings,
};
use crate::taste::TasteSettings;

/// A parameter that has a name: its range, and how it is read and set.
pub struct Field<S> {
    name: &'static str,
    range: (f64, f64),
    whole: bool,
    get: fn(&S) -> f64,
    set: fn(&mut S, f64),
}

impl<S> Field<S> {
    /// A parameter of real numbers from `least` to `most`.
    pub(crate) const fn real(
        name: &'static str,
        least: f64,
        most: f64,
        get: fn(&S) -> f64,
        set: fn(&mut S, f64),
    ) -> Self {
        Self { name, range: (least, most), whole: false, get, set }
    }

    /// A parameter of whole numbers from `least` to `most`.
    pub(crate) const fn whole(
        name: &'static str,
        least: f64,
        most: f64,
        get: fn(&S) -> f64,
        set: fn(&mut S, f64),
    ) -> Self {
        Self { name, range: (least, most), whole: true, get, set }
    }

    fn check(&self, value: f64) -> Result<(), FitError> {
        let (least, most) = self.range;
        if (least..=most).contains(&value) && (!self.whole || value.fract() == 0.0) {
            return Ok(());
        }
        let kind = if self.whole { "whole numbers " } else { "" };
        Err(FitError::Setting { field: self.name.into(), value, range: format!("{kind}{least} to {most}") })
    }
}

/// The settings of one algorithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "kebab-case")]
pub enum Settings {
    /// Of the singular value decomposition.
    Svd(TasteSettings),
    /// Of alternating least squares.
    Als(AlsSettings),
    /// Of EASE.
    Ease(EaseSettings),
    /// Of item-kNN.
    ItemKnn(ItemKnnSettings),
    /// Of the transitions.
    Transition(TransitionSettings),
    /// Of popularity: none.
    Popularity(PopularitySettings),
    /// Of a blend: those of its parts.
    Blend(BlendSettings),
}

/// Settings whose parameters have names.
pub(crate) trait Fields: Sized + 'static {
    /// The parameters.
    const FIELDS: &'static [Field<Self>];
}

/// Parameters by name, whatever the settings they are of.
trait Named {
    fn names(&self) -> Vec<&'static str>;
    fn read(&self) -> BTreeMap<String, f64>;
    /// Sets a parameter; `None` where there is none of this name.
    fn write(&mut self, name: &str, value: f64) -> Option<Result<(), FitError>>;
    fn check(&self) -> Result<(), FitError>;
}

impl<S: Fields> Named for S {
    fn names(&self) -> Vec<&'static str> {
        S::FIELDS.iter().map(|field| field.name).collect()
    }

    fn read(&self) -> BTreeMap<String, f64> {
        S::FIELDS.iter().map(|field| (field.name.to_owned(), (field.get)(self))).collect()
    }

    fn write(&mut self, name: &str, value: f64) -> Option<Result<(), FitError>> {
        let field = S::FIELDS.iter().find(|field| field.name == name)?;
        Some(field.check(value).map(|()| (field.set)(self, value)))
    }

    fn check(&self) -> Result<(), FitError> {
        S::FIELDS.iter().try_for_each(|field| field.check((field.get)(self)))
    }
}

impl Settings {
    /// The defaults of an algorithm; a blend begins without parts.
    pub fn of(algorithm: Algorithm, seed: u64) -> Self {
        match algorithm {
            Algorithm::Svd => Self::Svd(TasteSettings { seed, ..TasteSettings::default() }),
            Algorithm::Als => Self::Als(AlsSettings { seed, ..AlsSettings::default() }),
            Algorithm::Ease => Self::Ease(EaseSettings::default()),
            Algorithm::ItemKnn => Self::ItemKnn(ItemKnnSettings::default()),
            Algorithm::Transition => Self::Transition(TransitionSettings::default()),
            Algorithm::Popularity => Self::Popularity(PopularitySettings::default()),
            Algorithm::Blend => Self::Blend(BlendSettings::default()),
        }
    }

    /// Whose settings these are.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Svd(_) => Algorithm::Svd,
            Self::Als(_) => Algorithm::Als,
            Self::Ease(_) => Algorithm::Ease,
            Self::ItemKnn(_) => Algorithm::ItemKnn,
            Self::Transition(_) => Algorithm::Transition,
            Self::Popularity(_) => Algorithm::Popularity,
            Self::Blend(_) => Algorithm::Blend,
        }
    }

    /// The settings as parameters by name; none of a blend, which has its parts' only.
    fn named(&self) -> Result<&dyn Named, &BlendSettings> {
        match self {
            Self::Svd(one) => Ok(one),
            Self::Als(one) => Ok(one),
            Self::Ease(one) => Ok(one),
            Self::ItemKnn(one) => Ok(one),
            Self::Transition(one) => Ok(one),
            Self::Popularity(one) => Ok(one),
            Self::Blend(blend) => Err(blend),
        }
    }

    fn named_mut(&mut self) -> Option<&mut dyn Named> {
        match self {
            Self::Svd(one) => Some(one),
            Self::Als(one) => Some(one),
            Self::Ease(one) => Some(one),
            Self::ItemKnn(one) => Some(one),
            Self::Transition(one) => Some(one),
            Self::Popularity(one) => Some(one),
            Self::Blend(_) => None,
        }
    }

    /// All parameters by name; those of a blend's parts after the part's place and kind, as in `1-svd.rank`.
    pub fn parameters(&self) -> BTreeMap<String, f64> {
        self.named().map_or_else(BlendSettings::parameters, Named::read)
    }

    /// Sets a parameter by name.
    ///
    /// # Errors
    /// A name that is not a parameter, a value out of its range; a blend's parameters are chosen, not given.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), FitError> {
        let algorithm = self.algorithm();
        let unknown =
            |known: &str| FitError::Unknown { field: name.to_owned(), algorithm, known: known.into() };
        let Some(named) = self.named_mut() else { return Err(unknown("none, its parts are chosen")) };
        named.write(name, value).unwrap_or_else(|| {
            let known = named.names();
            Err(unknown(&if known.is_empty() { "none".into() } else { known.join(", ") }))
        })
    }

    /// The parameter of this name, where there is one.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.parameters().get(name).copied()
    }

    /// These settings with one parameter changed; one that has no such parameter is left as it is.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        let changed = self.set(name, value);
        debug_assert!(changed.is_ok(), "{changed:?}");
        self
    }

    #[must_use]
    pub(crate) fn with_recency(self, recency: f64) -> Self {
        if self.get("recency").is_some() { self.with("recency", recency) } else { self }
    }

    pub(crate) fn recency(&self) -> f64 {
        self.get("recency").unwrap_or(0.0)
    }

    /// Refuses what no fit can be made with, naming the parameter.
    ///
    /// # Errors
    /// The first parameter out of range.
    pub fn check(&self) -> Result<(), FitError> {
        self.named().map_or_else(BlendSettings::check, Named::check)
    }
}
