//! Nobody gains what no holder gave. Random walks of admin calls through the real router are
//! judged step by step by a model that works out by hand what everybody may do; and the known
//! ways up are tried one by one.
//!
//! `SYNCGUARD_WALK_SEED` repeats the walk whose failure printed it.

mod calls;
mod model;
mod town;
mod ways;

use std::collections::BTreeMap;

use serde_json::Value;
use syncguard::principal::{ADMIN, OWNER};
use uuid::Uuid;

use self::calls::{Aim, Call, Dice, Kind, draw};
use self::model::{Snapshot, faults};
use self::town::{Known, Town, id_of};

const STEPS: usize = 400;
const SEEDS: [u64; 3] = [1, 2, 3];

/// How many calls of a kind were granted, and refused.
type Tally = BTreeMap<Kind, (u32, u32)>;

/// A walk that can be told: its seed and what was asked so far.
struct Walk {
    town: Town,
    dice: Dice,
    state: Snapshot,
    seed: u64,
    log: Vec<String>,
}

impl Walk {
    async fn begin(seed: u64) -> Walk {
        let town = Town::found().await;
        let state = town.snapshot().await;
        Walk {
            town,
            dice: Dice::new(seed),
            state,
            seed,
            log: Vec::new(),
        }
    }

    fn fail(&self, faults: &[String]) -> ! {
        panic!(
            "SYNCGUARD_WALK_SEED={} repeats this:\n{}\n{}",
            self.seed,
            self.log.join("\n"),
            faults.join("\n")
        );
    }

    /// A caller, mostly one who may do something there, and a call.
    fn draw(&mut self) -> (Known, Uuid, Call) {
        loop {
            let workspace = self.dice.pick(&self.town.workspaces).expect("two of them");
            let trusted = self.dice.chance(40);
            let stranger = self.dice.chance(5);
            let callers: Vec<Known> = self
                .town
                .keys
                .iter()
                .filter(|key| match self.state.role(workspace, key.account) {
                    Some(role) => !trusted || (key.main && [OWNER, ADMIN].contains(&role)),
                    None => stranger && !trusted,
                })
                .cloned()
                .collect();
            let spare_keys: Vec<_> = self
                .town
                .keys
                .iter()
                .filter(|key| !key.main)
                .map(|key| (key.id, key.account))
                .collect();
            let Some(key) = self.dice.pick(&callers) else {
                continue;
            };
            let kind = self.dice.pick(Kind::ALL).expect("many kinds");
            let aim = Aim {
                state: &self.state,
                accounts: &self.town.accounts,
                workspace,
                account: key.account,
                key: key.id,
                spare_keys: &spare_keys,
            };
            if let Some(call) = draw(&mut self.dice, kind, &aim) {
                return (key, workspace, call);
            }
        }
    }

    async fn step(&mut self, tally: &mut Tally) {
        let (key, workspace, call) = self.draw();
        let (status, answer) = self
            .town
            .ask(
                &key.text,
                call.method.clone(),
                &call.path,
                call.body.clone(),
            )
            .await;
        self.log.push(format!(
            "{}. key {} of {}: {:?} {} {} {} -> {status}",
            self.log.len(),
            key.id,
            key.account,
            call.kind,
            call.method,
            call.path,
            call.body
                .as_ref()
                .map_or_else(String::new, Value::to_string),
        ));
        let after = self.town.snapshot().await;
        let count = tally.entry(call.kind).or_default();
        let mut wrong = Vec::new();
        if (200..300).contains(&status) {
            count.0 += 1;
            wrong = faults(&self.state, &after, key.id);
            let needed = call.kind.needs();
            let held = match call.kind.is_of_keys() {
                true => {
                    let scopes = &self.state.keys[&key.id].scopes;
                    let scope = needed.replace('.', ":");
                    scopes.iter().any(|own| own == "*" || *own == scope)
                }
                false => self.state.of_key(workspace, key.id).contains(needed),
            };
            if !held {
                wrong.push(format!("it was granted without {needed}"));
            }
            match call.kind {
                Kind::JoinGroup => wrong.push("the caller joined a group".into()),
                Kind::CreateOwnKey | Kind::CreateOthersKey => {
                    let id = id_of(&answer);
                    self.town.learn(&answer, after.keys[&id].account_id, false);
                }
                Kind::DeleteKey => self.town.keys.retain(|k| after.keys.contains_key(&k.id)),
                _ => {}
            }
        } else {
            count.1 += 1;
            if ![403, 404, 409, 422].contains(&status) {
                wrong.push(format!("an answer that was not to be expected: {answer}"));
            }
            // Nobody else is at work, and no name is used twice.
            if call.kind == Kind::Restore && status == 409 {
                wrong.push(format!("a revision could not be restored: {answer}"));
            }
            if after != self.state {
                wrong.push("a call that was refused changed something".into());
            }
        }
        self.state = after;
        let all = self.log.len().is_multiple_of(50);
        for known in &self.town.keys {
            if all || known.id == key.id {
                let told = self.town.told_wrongly(&self.state, known, workspace).await;
                wrong.extend(told);
            }
        }
        if !wrong.is_empty() {
            self.fail(&wrong);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gains_what_no_holder_gave() {
    let seeds = match std::env::var("SYNCGUARD_WALK_SEED") {
        Ok(seed) => vec![seed.parse().expect("SYNCGUARD_WALK_SEED is a whole number")],
        Err(_) => SEEDS.to_vec(),
    };
    let whole = seeds.len() == SEEDS.len();
    let mut tally = Tally::new();
    for seed in seeds {
        let mut walk = Walk::begin(seed).await;
        for _ in 0..STEPS {
            walk.step(&mut tally).await;
        }
    }
    // A walk on which everything is granted, or nothing, would prove nothing.
    for kind in Kind::ALL.iter().filter(|_| whole) {
        let (granted, refused) = tally.get(kind).copied().unwrap_or_default();
        let least = match kind {
            Kind::JoinGroup => 0,
            Kind::CreateOthersKey | Kind::DeleteKey | Kind::DeleteRole => 1,
            _ => 3,
        };
        assert!(
            granted >= least && refused >= 3,
            "{kind:?} was granted {granted} and refused {refused} times: {tally:?}"
        );
    }
}
