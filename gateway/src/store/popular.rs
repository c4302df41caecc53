use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryOrder as _};

use super::entity::popular;
use super::{Error, Store};

impl Store {
    /// The encoded items served when the recommender cannot be reached, the most popular first.
    pub async fn popular(&self) -> Result<Vec<Vec<u8>>, Error> {
        let rows = popular::Entity::find().order_by_asc(popular::Column::Rank).all(&self.db).await?;
        Ok(rows.into_iter().map(|row| row.payload).collect())
    }

    /// Replaces those items by `items` (id and encoded item), the most popular first.
    pub async fn set_popular(&self, items: &[(String, Vec<u8>)]) -> Result<(), Error> {
        let transaction = chassis::database::begin(&self.db).await?;
        popular::Entity::delete_many().exec(&transaction).await?;
        let rows: Vec<_> = items
            .iter()
            .zip(0..)
            .map(|((item_id, payload), rank)| popular::ActiveModel {
                item_id: Set(item_id.clone()),
                rank: Set(rank),
                payload: Set(payload.clone()),
            })
            .collect();
        if !rows.is_empty() {
            popular::Entity::insert_many(rows).exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
