//! The store on SQLite and on PostgreSQL: the same cases on both.

use std::time::Duration;

use chassis::config::Secret;
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::*;

const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

/// A fresh database, removed at the end.
struct Database {
    url: Secret,
    /// Name of the database on the server; `None` for a file.
    name: Option<String>,
    _folder: tempfile::TempDir,
}

impl Database {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/g.db?mode=rwc", folder.path().display());
        Self { url: Secret::new(url), name: None, _folder: folder }
    }

    async fn postgres() -> Self {
        let name = format!("gateway_test_{}", Uuid::new_v4().simple());
        execute(&format!("CREATE DATABASE {name}")).await;
        let url = Secret::new(format!("{SERVER}/{name}"));
        Self { url, name: Some(name), _folder: tempfile::tempdir().expect("a folder") }
    }

    async fn open(&self) -> Store {
        Store::open(&self.url).await.expect("opens")
    }

    async fn drop(self) {
        if let Some(name) = self.name {
            execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

async fn execute(sql: &str) {
    let admin =
        chassis::database::open(&Secret::new(format!("{SERVER}/postgres"))).await.expect("PostgreSQL runs");
    admin.execute_unprepared(sql).await.expect("executed");
}

/// Defines a test for each database.
macro_rules! on_both {
    ($($(#[$meta:meta])* $case:ident),* $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test] async fn $case() { super::$case(&Database::sqlite()).await; })*
        }
        mod postgres {
            use super::*;
            $(#[tokio::test] async fn $case() {
                let database = Database::postgres().await;
                super::$case(&database).await;
                database.drop().await;
            })*
        }
    };
}

on_both!(
    rows_are_stored_once_and_in_order_over_a_restart,
    only_rows_that_all_consumers_have_are_pruned,
    a_cursor_never_goes_back,
    a_visitor_is_linked_to_one_user_for_ever,
    links_do_not_form_chains,
    consents_of_visitor_and_user_join_to_the_stricter,
    undelivered_events_of_a_person_include_those_of_its_visitors,
    the_popularity_list_is_changed_by_id_and_a_fetch_undoes_no_later_change,
    writers_that_overlap_give_positions_in_the_order_of_commits,
    replicas_that_start_together_migrate_once,
);

fn row(id: &str, person: &str) -> Row {
    Row { id: id.into(), kind: Kind::Event, person: person.into(), payload: id.into(), link: None }
}

fn link(visitor: &str, person: &str) -> Row {
    let link = Link { visitor: visitor.into(), person: person.into() };
    Row { link: Some(link), ..row(&format!("event:link:{visitor}:{person}"), person) }
}

async fn appended(store: &Store, rows: &[Row]) -> Appended {
    store.appending().await.expect("begun").append(rows, 10).await.expect("stored")
}

async fn append(store: &Store, rows: &[Row]) -> Vec<Outcome> {
    appended(store, rows).await.outcomes
}

fn payloads(rows: Vec<Stored>) -> Vec<String> {
    rows.into_iter().map(|row| String::from_utf8(row.payload).expect("text")).collect()
}

async fn rows_are_stored_once_and_in_order_over_a_restart(database: &Database) {
    let store = database.open().await;
    let first = appended(&store, &[row("a", "p"), row("b", "p"), row("a", "p")]).await;
    assert_eq!(first.outcomes, [Outcome::New, Outcome::New, Outcome::Known]);
    let rows = store.after(0, 10).await.expect("read");
    assert_eq!(first.position, rows[1].sequence, "the position of the newest event");
    store.advance("here", rows[0].sequence).await.expect("advanced");
    drop(store);

    let store = database.open().await;
    let decision = Row { kind: Kind::Decision, ..row("d", "p") };
    let second = appended(&store, &[row("b", "p"), row("c", "p"), decision]).await;
    assert_eq!(second.outcomes, [Outcome::Known, Outcome::New, Outcome::New]);
    assert_eq!(store.head().await.expect("read"), second.position, "a decision is no event");
    let cursor = store.cursor("here").await.expect("kept");
    assert_eq!(payloads(store.after(cursor, 10).await.expect("read")), ["b", "c", "d"]);
}

async fn only_rows_that_all_consumers_have_are_pruned(database: &Database) {
    let store = database.open().await;
    append(&store, &[row("a", "p"), row("b", "p"), row("c", "p")]).await;
    let rows = store.after(0, 10).await.expect("read");
    let last = rows[2].sequence;
    store.advance("one", last).await.expect("advanced");
    assert_eq!(store.prune(&["one", "two"], 100).await.expect("pruned"), 0, "two has seen nothing");
    store.advance("two", rows[0].sequence).await.expect("advanced");
    assert_eq!(store.prune(&["one", "two"], 5).await.expect("pruned"), 0, "too young");
    assert_eq!(store.prune(&["one", "two"], 100).await.expect("pruned"), 1);
    store.advance("two", last).await.expect("advanced");
    assert_eq!(store.prune(&["one", "two"], 100).await.expect("pruned"), 1, "the newest event stays");
    assert_eq!(store.head().await.expect("read"), last);
}

async fn a_cursor_never_goes_back(database: &Database) {
    let store = database.open().await;
    for sequence in [5, 3, 9, 7] {
        store.advance("here", sequence).await.expect("advanced");
    }
    assert_eq!(store.cursor("here").await.expect("read"), 9);
}

async fn a_visitor_is_linked_to_one_user_for_ever(database: &Database) {
    let store = database.open().await;
    let outcomes =
        append(&store, &[link("v", "u"), link("v", "u"), link("v", "other"), link("w", "u")]).await;
    let elsewhere = Outcome::Refused(Refusal::LinkedElsewhere);
    assert_eq!(outcomes, [Outcome::New, Outcome::Known, elsewhere, Outcome::New]);
    assert_eq!(append(&store, &[link("v", "other")]).await, [elsewhere], "in a later call too");
    assert_eq!(payloads(store.after(0, 10).await.expect("read")).len(), 2, "a refused link is not stored");
    assert_eq!(store.resolve("v").await.expect("read"), "u");
    assert_eq!(store.resolve("u").await.expect("read"), "u");
    let visitors = store.visitors_of("u").await.expect("read");
    let rows = store.after(0, 10).await.expect("read");
    let expected = ["v", "w"].into_iter().zip(rows);
    let expected: Vec<_> =
        expected.map(|(name, row)| Linked { visitor: name.into(), sequence: row.sequence }).collect();
    assert_eq!(visitors, expected);
    assert_eq!(store.forget_links("u").await.expect("dropped"), 2);
    assert_eq!(store.resolve("v").await.expect("read"), "v");
}

async fn links_do_not_form_chains(database: &Database) {
    let store = database.open().await;
    append(&store, &[link("v", "u")]).await;
    let outcomes = append(&store, &[link("x", "v"), link("u", "w")]).await;
    assert_eq!(
        outcomes,
        [Outcome::Refused(Refusal::UserIsVisitor), Outcome::Refused(Refusal::VisitorIsUser)]
    );
}

async fn consents_of_visitor_and_user_join_to_the_stricter(database: &Database) {
    type Purposes = Option<&'static [i32]>;
    let store = database.open().await;
    let cases: [(&str, Purposes, Purposes, Purposes); 5] = [
        ("both", Some(&[1, 2]), Some(&[2]), Some(&[2])),
        ("visitor-refuses", Some(&[]), Some(&[1, 2]), Some(&[])),
        ("visitor-only", Some(&[1]), None, Some(&[1])),
        ("user-only", None, Some(&[2]), Some(&[2])),
        ("neither", None, None, None),
    ];
    for (name, of_visitor, of_user, expected) in cases {
        let (visitor, user) = (format!("v-{name}"), format!("u-{name}"));
        for (id, purposes) in [(&visitor, of_visitor), (&user, of_user)] {
            if let Some(purposes) = purposes {
                store.set_consent(id, purposes, 1).await.expect("stored");
            }
        }
        append(&store, &[link(&visitor, &user)]).await;
        assert_eq!(store.consent(&user).await.expect("read").as_deref(), expected, "{name}");
        assert_eq!(store.consent(&visitor).await.expect("read"), None, "{name}: the visitor is the user now");
        assert_eq!(store.set_consent(&visitor, &[1], 2).await.expect("stored"), user, "{name}: for the user");
        assert_eq!(store.consent(&user).await.expect("read"), Some(vec![1]), "{name}: said later");
    }
}

async fn undelivered_events_of_a_person_include_those_of_its_visitors(database: &Database) {
    let store = database.open().await;
    append(&store, &[row("delivered", "u")]).await;
    store.advance("recommender", store.head().await.expect("read")).await.expect("advanced");
    let decision = Row { kind: Kind::Decision, ..row("decision", "u") };
    append(&store, &[row("seen", "v"), row("other", "x"), decision, link("v", "u"), row("bought", "u")])
        .await;
    let undelivered = |most| store.undelivered("recommender", "u", most);
    let read: Vec<String> = undelivered(10)
        .await
        .expect("read")
        .into_iter()
        .map(|payload| String::from_utf8(payload).expect("text"))
        .collect();
    assert_eq!(read, ["seen", "event:link:v:u", "bought"]);
    assert_eq!(undelivered(1).await.expect("read"), [b"bought"], "the newest");
}

async fn the_popularity_list_is_changed_by_id_and_a_fetch_undoes_no_later_change(database: &Database) {
    let store = database.open().await;
    let item =
        |id: &str, rank| PopularItem { item_id: id.into(), rank, payload: format!("{id}{rank}").into() };
    let before = store.popular_version().await.expect("read");
    store.replace_popular(&[item("a", 0), item("b", 1), item("c", 2)], before).await.expect("stored");
    let fetched_at = store.popular_version().await.expect("read");
    let change = store.change_popular().await.expect("begun");
    assert_eq!(change.version, fetched_at + 1);
    assert_eq!(change.list().await.expect("read").len(), 3);
    change.commit(&[item("b", 5)], &["a".into()]).await.expect("stored");
    assert_eq!(store.popular().await.expect("read"), [b"c2", b"b5"]);
    // Fetched before the change, stored after it.
    store.replace_popular(&[item("c", 0), item("a", 1), item("b", 2)], fetched_at).await.expect("stored");
    assert_eq!(store.popular().await.expect("read"), [b"c0", b"b5"], "a stays removed, b changed");
    let settled = store.popular_version().await.expect("read");
    store.replace_popular(&[item("a", 0), item("b", 1)], settled).await.expect("stored");
    assert_eq!(store.popular().await.expect("read"), [b"a0", b"b1"]);
}

/// A reader that has seen a position must have seen all before it, whoever wrote them.
async fn writers_that_overlap_give_positions_in_the_order_of_commits(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = replicas[writer % 2].clone();
            tokio::spawn(async move {
                for n in 0..25 {
                    let rows: Vec<_> = (0..3).map(|part| row(&format!("{writer}-{n}-{part}"), "p")).collect();
                    append(&store, &rows).await;
                }
            })
        })
        .collect();
    let (mut seen, mut cursor) = (0, 0);
    while seen < 600 {
        let rows = replicas[0].after(cursor, 50).await.expect("read");
        seen += rows.len();
        cursor = rows.last().map_or(cursor, |row| row.sequence);
        let written = writers.iter().all(tokio::task::JoinHandle::is_finished);
        if rows.is_empty() && written {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.expect("written");
    }
    seen += replicas[0].after(cursor, 1000).await.expect("read").len();
    assert_eq!(seen, 600, "a row was committed behind the reader");
}

async fn replicas_that_start_together_migrate_once(database: &Database) {
    if database.name.is_none() {
        return; // A SQLite file belongs to one gateway.
    }
    let stores = futures::future::join_all((0..4).map(|_| Store::open(&database.url))).await;
    for store in stores {
        assert_eq!(store.expect("opens").head().await.expect("read"), 0);
    }
}

#[tokio::test]
async fn one_replica_holds_a_lease_until_it_ends_or_is_given_back() {
    let database = Database::postgres().await;
    let store = database.open().await;
    let lease = |holder: &'static str, milliseconds| {
        let store = store.clone();
        async move { store.lease("work", holder, Duration::from_millis(milliseconds)).await.expect("asked") }
    };
    assert!(lease("one", 60_000).await);
    assert!(lease("one", 60_000).await, "renewed");
    assert!(!lease("two", 60_000).await, "held by another");
    store.release("work", "two").await.expect("nothing to give back");
    assert!(!lease("two", 60_000).await);
    store.release("work", "one").await.expect("given back");
    assert!(lease("two", 0).await);
    let started = std::time::Instant::now();
    while !lease("one", 60_000).await {
        assert!(started.elapsed() < Duration::from_secs(10), "a lease that has ended is taken");
    }
    drop(store);
    database.drop().await;
}
