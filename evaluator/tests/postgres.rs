//! The same journey on PostgreSQL at 127.0.0.1:5432, in a database of its own. Fails where there is none.

use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_bears_the_same_journey() {
    support::with_postgres(async |url| {
        let mut served = support::served_on(&url, tempfile::tempdir().expect("a folder")).await;
        support::experiment_journey(&mut served).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_excludes_people_linked_across_variants() {
    support::with_postgres(async |url| {
        let mut served = support::served_on(&url, tempfile::tempdir().expect("a folder")).await;
        crate::links::people_in_two_variants(&mut served).await;
        let store = evaluator::store::Store::open(&chassis::config::Secret::new(&*url)).await.expect("opens");
        let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
        assert_eq!(kept, rebuilt);
    })
    .await;
}

/// Two replicas: one is told what visitors do while the other is told who they are. Whatever comes first, all of it is
/// the user's afterwards, and the sums beside the log are exact.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_links_visitors_while_another_replica_stores_their_events() {
    support::with_postgres(async |url| {
        let mut one = support::served_on(&url, tempfile::tempdir().expect("a folder")).await;
        // An answer: the database is migrated before the second replica opens it.
        support::exported(&mut one, "nobody").await;
        let mut other = support::served_on(&url, tempfile::tempdir().expect("a folder")).await;
        crate::links::visitors_on_two_replicas(&mut one, &mut other).await;
        let store = evaluator::store::Store::open(&chassis::config::Secret::new(&*url)).await.expect("opens");
        let (kept, rebuilt) = store.rebuild_cells().await.expect("rebuilt");
        assert_eq!(kept, rebuilt);
    })
    .await;
}

#[tokio::test]
async fn replicas_that_start_together_on_a_new_database_all_start() {
    support::with_postgres(async |url| {
        let url = chassis::config::Secret::new(url);
        let opened = futures::future::join_all((0..4).map(|_| evaluator::store::Store::open(&url))).await;
        for store in opened {
            store.expect("opened");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_features_as_the_log_says() {
    support::with_postgres(async |url| {
        let mut served = support::simulated_on(&url, tempfile::tempdir().expect("a folder")).await;
        crate::features::rows_follow_the_log(&mut served, &url).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_one_history_of_each_person_for_two_replicas() {
    support::with_postgres(async |url| {
        let mut one = support::simulated_on(&url, tempfile::tempdir().expect("a folder")).await;
        // An answer: the database is migrated before the second replica opens it.
        support::exported(&mut one, "nobody").await;
        let mut other = support::simulated_on(&url, tempfile::tempdir().expect("a folder")).await;
        crate::features::two_replicas_keep_one_history(&mut one, &mut other, &url).await;
    })
    .await;
}
