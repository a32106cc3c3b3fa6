//! Two principals with disjoint rows over caches that hold almost nothing: whatever is evicted
//! when, neither gets the other's guard.
//!
//! `SYNCGUARD_EVICTION` sets how many look-ups there are; the default is for every run, a million
//! for a night.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::TimeDelta;
use datafusion::datasource::MemTable;
use serde_json::json;
use syncguard::catalog::Model;
use syncguard::guard::session::{Bounds, BoxError, Extras, Session, Tables};
use syncguard::guard::table::GuardedTable;
use syncguard::guard::{Guard, Registry};
use syncguard::policy::{PolicySet, Unassigned};
use syncguard::principal::{MEMBER, Standing};

use super::world::ask;
use crate::access::house::{HERE, House, condition, is, model, now};

const LOOK_UPS: usize = 100_000;
/// Of how many look-ups one is made by a whole session.
const OF_A_SESSION: usize = 50;

/// Whose rows there are.
const OWNERS: [&str; 2] = ["DE", "US"];

/// What one of the principals asks with.
struct Scene {
    registry: Registry,
    model: Model,
    schema: SchemaRef,
    rows: RecordBatch,
    /// The same policies at several revisions, as they are between changes.
    policies: Vec<PolicySet>,
    principals: [Standing; 2],
}

impl Scene {
    /// With caches that keep this many guards.
    fn keeping(guards: u64) -> Scene {
        let mut house = House::new();
        let region = house.category(Unassigned::Deny);
        let recent = house.category(Unassigned::Deny);
        for (group, owner) in OWNERS.iter().enumerate() {
            let policy = house.policy(region, HERE, is("country", owner));
            house.assign(policy, group);
            // Counts from a time, so that its guards are kept apart by time as well.
            let span = json!({"value": 100, "unit": "years"});
            let tree = json!({"type": "and", "children": [
                is("country", owner),
                {"type": "or", "children": [
                    condition("born", "within_last", span),
                    condition("born", "is_null", json!(null)),
                ]},
            ]});
            let policy = house.policy(recent, HERE, tree);
            house.assign(policy, group);
        }
        let principals = [0, 1].map(|group| house.principal(MEMBER, &[group]));
        let policies = (7..10).map(|revision| PolicySet {
            revision,
            ..house.policies.clone()
        });
        let policies = policies.collect();
        let rows = rows();
        Scene {
            registry: Registry::with_capacity(guards),
            model: Model {
                schema: rows.schema(),
                ..model()
            },
            schema: rows.schema(),
            rows,
            policies,
            principals,
        }
    }

    /// The guard of a principal, at some revision and time.
    fn guard(&self, principal: usize, turn: usize) -> Arc<Guard> {
        let policies = &self.policies[turn % self.policies.len()];
        let mut standing = self.principals[principal].clone();
        standing.revision = policies.revision;
        let time = now() + TimeDelta::seconds((turn % 5) as i64);
        let (model, schema) = (&self.model, &self.schema);
        let guard = self
            .registry
            .guard(policies, model, schema, None, &standing, time);
        guard.expect("the policies compile")
    }
}

fn rows() -> RecordBatch {
    let owners = OWNERS.iter().cycle().take(12);
    let countries = StringArray::from_iter_values(owners);
    let born = arrow::array::Date32Array::from(
        (0..12)
            .map(|at| (at % 3 > 0).then_some(at))
            .collect::<Vec<_>>(),
    );
    RecordBatch::try_from_iter([
        ("country", Arc::new(countries) as _),
        ("born", Arc::new(born) as _),
    ])
    .unwrap()
}

fn look_ups() -> usize {
    match std::env::var("SYNCGUARD_EVICTION") {
        Ok(count) => count.parse().expect("SYNCGUARD_EVICTION is a number"),
        Err(_) => LOOK_UPS,
    }
}

#[test]
fn an_evicted_guard_is_never_another_principals() {
    for guards in [0, 1, 3] {
        let scene = Scene::keeping(guards);
        let turns = AtomicUsize::new(0);
        let end = look_ups() / 3;
        // Each principal twice, so that one may find what the other has just put there.
        std::thread::scope(|threads| {
            for principal in [0, 1, 0, 1] {
                let (scene, turns) = (&scene, &turns);
                threads.spawn(move || {
                    loop {
                        let turn = turns.fetch_add(1, Ordering::Relaxed);
                        if turn >= end {
                            return;
                        }
                        let guard = scene.guard(principal, turn);
                        let verdict = guard
                            .apply(&scene.rows, syncguard::guard::Leaving::All)
                            .unwrap();
                        let seen = verdict.guarded().batch().clone();
                        let countries = seen.column(0).as_string::<i32>();
                        assert_eq!(countries.len(), 6, "turn {turn}");
                        let own = OWNERS[principal];
                        assert!(
                            countries.iter().all(|country| country == Some(own)),
                            "turn {turn}"
                        );
                    }
                });
            }
        });
    }
}

/// The model of the scene, as one principal sees it at one turn.
struct Seen {
    scene: Arc<Scene>,
    principal: usize,
    turn: usize,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "turn {}", self.turn)
    }
}

#[async_trait]
impl Tables for Seen {
    async fn table(&self, name: &str) -> Result<Option<GuardedTable>, BoxError> {
        let rows = vec![vec![self.scene.rows.clone()]];
        let rows = MemTable::try_new(Arc::clone(&self.scene.schema), rows)?;
        let guard = self.scene.guard(self.principal, self.turn);
        Ok(Some(GuardedTable::new(name, Arc::new(rows), guard)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_over_evicted_guards_never_shows_another_principals_rows() {
    let scene = Arc::new(Scene::keeping(1));
    let turns = Arc::new(AtomicUsize::new(0));
    let end = look_ups() / OF_A_SESSION;
    let bounds = Bounds {
        memory_bytes: 16 << 20,
        text_bytes: 1 << 10,
        plan_nodes: 1_000,
        batch_rows: 4,
    };
    let tasks = [0, 1, 0, 1].map(|principal| {
        let (scene, turns) = (Arc::clone(&scene), Arc::clone(&turns));
        tokio::spawn(async move {
            loop {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                if turn >= end {
                    return;
                }
                let tables = Arc::new(Seen {
                    scene: Arc::clone(&scene),
                    principal,
                    turn,
                });
                let (revision, extras) = (7 + turn as u64 % 3, Extras::default());
                let session = Session::open("shop", tables, &extras, bounds, revision, now());
                let session = session.unwrap();
                let sql = "SELECT country FROM customers WHERE upper(country) <> 'x'";
                let outcome = ask(&session, sql, &[]).await;
                assert_eq!(outcome.error, None, "turn {turn}");
                assert_eq!(outcome.lines(), [OWNERS[principal]; 6], "turn {turn}");
                let sql = "SELECT count(*), min(country), max(country) FROM customers";
                let outcome = ask(&session, sql, &[]).await;
                let own = OWNERS[principal];
                assert_eq!(outcome.lines(), [format!("6|{own}|{own}")], "turn {turn}");
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}
