use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::copy;
use super::{Error, Store};

/// What a model of words thought of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Click {
    /// The model.
    pub version: String,
    /// The probability that the text is clicked more often than an average one.
    pub probability: f64,
}

/// A text the model wrote and the guard let pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The hash of its brief, model and seed.
    pub key: String,
    /// The model that wrote it.
    pub model_id: String,
    /// The headline.
    pub headline: String,
    /// The body.
    pub body: String,
    /// Whether it was cut back to its last whole sentence.
    pub cut: bool,
    /// Whether it will be clicked; `None` where no model of words read it.
    pub click: Option<Click>,
}

impl Store {
    /// The texts kept under `keys`, by key.
    pub async fn copies(&self, keys: &[String]) -> Result<HashMap<String, Written>, Error> {
        let rows = copy::Entity::find().filter(copy::Column::Key.is_in(keys)).all(&self.db).await?;
        let written = |row: copy::Model| Written {
            key: row.key,
            model_id: row.model_id,
            headline: row.headline,
            body: row.body,
            cut: row.cut,
            click: row
                .words_version
                .zip(row.predicted_click)
                .map(|(version, probability)| Click { version, probability }),
        };
        Ok(rows.into_iter().map(|row| (row.key.clone(), written(row))).collect())
    }

    /// Keeps `written`, in place of what was kept under its key.
    pub async fn keep(&self, written: &Written, at: DateTime<Utc>) -> Result<(), Error> {
        let row = copy::ActiveModel {
            key: Set(written.key.clone()),
            model_id: Set(written.model_id.clone()),
            headline: Set(written.headline.clone()),
            body: Set(written.body.clone()),
            cut: Set(written.cut),
            words_version: Set(written.click.as_ref().map(|click| click.version.clone())),
            predicted_click: Set(written.click.as_ref().map(|click| click.probability)),
            written_at: Set(at.timestamp()),
        };
        let replaced = [
            copy::Column::ModelId,
            copy::Column::Headline,
            copy::Column::Body,
            copy::Column::Cut,
            copy::Column::WordsVersion,
            copy::Column::PredictedClick,
            copy::Column::WrittenAt,
        ];
        let conflict = OnConflict::column(copy::Column::Key).update_columns(replaced).to_owned();
        copy::Entity::insert(row).on_conflict(conflict).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Forgets what was written before `moment`; answers how many texts that were.
    pub async fn forget_before(&self, moment: DateTime<Utc>) -> Result<u64, Error> {
        let old = copy::Column::WrittenAt.lt(moment.timestamp());
        Ok(copy::Entity::delete_many().filter(old).exec(&self.db).await?.rows_affected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::config::Secret;
    use chrono::TimeDelta;

    #[tokio::test]
    async fn a_text_is_kept_replaced_and_forgotten() {
        let store = Store::open(&Secret::new("sqlite::memory:")).await.unwrap();
        let now = Utc::now();
        let mut written = Written {
            key: "k".into(),
            model_id: "m".into(),
            headline: "Tea".into(),
            body: "Green.".into(),
            cut: false,
            click: Some(Click { version: "w".into(), probability: 0.6 }),
        };
        store.keep(&written, now).await.unwrap();
        (written.body, written.click) = ("Black.".into(), None);
        store.keep(&written, now).await.unwrap();
        let found = store.copies(&["k".into(), "other".into()]).await.unwrap();
        assert_eq!(found.into_values().collect::<Vec<_>>(), [written]);
        assert_eq!(store.forget_before(now - TimeDelta::hours(1)).await.unwrap(), 0);
        assert_eq!(store.forget_before(now + TimeDelta::hours(1)).await.unwrap(), 1);
    }
}
