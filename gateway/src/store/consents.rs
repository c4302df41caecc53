use sea_orm::{ActiveValue::Set, EntityTrait as _, sea_query::OnConflict};

use super::entity::consent;
use super::{Error, Store};

impl Store {
    /// What `person` has agreed to, as numbers of the contract; `None` where nothing was ever said.
    pub async fn consent(&self, person: &str) -> Result<Option<Vec<i32>>, Error> {
        let row = consent::Entity::find_by_id(person).one(&self.db).await?;
        Ok(row.map(|row| row.purposes.split(',').filter_map(|number| number.parse().ok()).collect()))
    }

    /// Stores what `person` has agreed to.
    pub async fn set_consent(&self, person: &str, purposes: &[i32], now: i64) -> Result<(), Error> {
        let purposes: Vec<String> = purposes.iter().map(ToString::to_string).collect();
        let row = consent::ActiveModel {
            person: Set(person.to_owned()),
            purposes: Set(purposes.join(",")),
            since: Set(now),
        };
        let replace = OnConflict::column(consent::Column::Person)
            .update_columns([consent::Column::Purposes, consent::Column::Since])
            .to_owned();
        consent::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.db).await?;
        Ok(())
    }

    /// Drops what `person` has agreed to; says how many rows there were.
    pub async fn forget_consent(&self, person: &str) -> Result<u64, Error> {
        Ok(consent::Entity::delete_by_id(person).exec(&self.db).await?.rows_affected)
    }
}
