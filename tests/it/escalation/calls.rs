//! Random admin calls, aimed at what is there.

use axum::http::Method;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use syncguard::principal::Permissions;
use uuid::Uuid;

use super::model::{House, Snapshot};

/// Permissions that the walk is about, and two that stand for the others.
pub(crate) const KEEN: [&str; 8] = [
    "governance.read",
    "governance.write",
    "workspace.read",
    "workspace.write",
    "workspace.members",
    "models.read",
    "syncs.read",
    "syncs.trigger",
];

macro_rules! kinds {
    ($($kind:ident => $needs:expr),* $(,)?) => {
        /// What a call is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The permission without which no such call may succeed; of keys, the scope.
            pub(crate) fn needs(self) -> &'static str {
                match self { $(Kind::$kind => $needs),* }
            }
        }
    };
}

kinds! {
    CreateRole => "governance.write",
    UpdateRole => "governance.write",
    DeleteRole => "governance.write",
    CreateGroup => "governance.write",
    UpdateGroup => "governance.write",
    DeleteGroup => "governance.write",
    AddToGroup => "governance.write",
    JoinGroup => "governance.write",
    RemoveFromGroup => "governance.write",
    AddMember => "workspace.members",
    UpdateMember => "workspace.members",
    UpdateSelf => "workspace.members",
    RemoveMember => "workspace.members",
    CreateOwnKey => "workspace.members",
    CreateOthersKey => "workspace.members",
    DeleteKey => "workspace.members",
    CreateCategory => "governance.write",
    CreatePolicy => "governance.write",
    MovePolicy => "governance.write",
    Assign => "governance.write",
    ReplaceAssigned => "governance.write",
    Restore => "governance.write",
}

impl Kind {
    /// Whether it is asked about the account's key and not about a workspace.
    pub(crate) fn is_of_keys(self) -> bool {
        matches!(
            self,
            Kind::CreateOwnKey | Kind::CreateOthersKey | Kind::DeleteKey
        )
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// Where the chances come from.
pub(crate) struct Dice {
    random: StdRng,
    named: u32,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice {
            random: StdRng::seed_from_u64(seed),
            named: 0,
        }
    }

    pub(crate) fn chance(&mut self, of_a_hundred: u32) -> bool {
        self.random.random_range(0..100u32) < of_a_hundred
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        match items.len() {
            0 => None,
            length => items.get(self.random.random_range(0..length)).cloned(),
        }
    }

    fn some<T: Clone>(&mut self, items: &[T], of_a_hundred: u32) -> Vec<T> {
        let mut taken = Vec::new();
        for item in items {
            if self.chance(of_a_hundred) {
                taken.push(item.clone());
            }
        }
        taken
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("name {}", self.named)
    }

    /// Some of what the caller holds, or whatever.
    fn permissions(&mut self, held: &[String]) -> Vec<String> {
        if self.chance(50) {
            return self.some(held, 30);
        }
        let keen: Vec<String> = KEEN.iter().map(|key| (*key).to_owned()).collect();
        let mut chosen = self.some(&keen, 40);
        chosen.extend(self.pick(&Permissions::ALL.keys()));
        chosen.sort();
        chosen.dedup();
        chosen
    }

    /// Some of the scopes that the caller's key has, or whatever; at least one.
    fn scopes(&mut self, own: &[String]) -> Vec<String> {
        let mut chosen = match self.random.random_range(0..4u32) {
            0 => vec!["*".to_owned()],
            1 | 2 => self.some(own, 60),
            _ => {
                let keen: Vec<_> = KEEN.iter().map(|key| key.replace('.', ":")).collect();
                self.some(&keen, 40)
            }
        };
        if chosen.is_empty() {
            let other = ["governance:review", "governance:write", "workspace:members"];
            chosen.extend(self.pick(&other).map(str::to_owned));
        }
        chosen
    }

    fn role(&mut self, house: &House) -> Option<Uuid> {
        let custom = house.roles.iter().filter(|role| !role.is_system);
        let custom: Vec<Uuid> = custom.map(|role| role.id).collect();
        let any: Vec<Uuid> = house.roles.iter().map(|role| role.id).collect();
        match !custom.is_empty() && self.chance(60) {
            true => self.pick(&custom),
            false => self.pick(&any),
        }
    }
}

/// What the random call is aimed from.
pub(crate) struct Aim<'a> {
    pub(crate) state: &'a Snapshot,
    pub(crate) accounts: &'a [Uuid],
    pub(crate) workspace: Uuid,
    pub(crate) account: Uuid,
    pub(crate) key: Uuid,
    /// Keys that may be deleted, each with its account.
    pub(crate) spare_keys: &'a [(Uuid, Uuid)],
}

/// A random call of a kind; `None` where there is nothing it could be aimed at.
pub(crate) fn draw(dice: &mut Dice, kind: Kind, aim: &Aim<'_>) -> Option<Call> {
    let house = &aim.state.houses[&aim.workspace];
    let ws = format!("/api/v1/workspaces/{}", aim.workspace);
    let held = aim.state.of_key(aim.workspace, aim.key);
    let held: Vec<String> = held.into_iter().collect();
    let groups: Vec<Uuid> = house.groups.iter().map(|group| group.id).collect();
    let members: Vec<Uuid> = house.places.keys().copied().collect();
    let others: Vec<Uuid> = members
        .iter()
        .copied()
        .filter(|account| *account != aim.account)
        .collect();
    let categories: Vec<Uuid> = house.policies.access_categories.keys().copied().collect();
    let policies: Vec<Uuid> = house.policies.access_policies.keys().copied().collect();
    let (method, path, body) = match kind {
        Kind::CreateRole => {
            let permissions = dice.permissions(&held);
            let body = json!({"name": dice.name(), "permissions": permissions});
            (Method::POST, format!("{ws}/roles"), Some(body))
        }
        Kind::UpdateRole => {
            let custom: Vec<_> = house.roles.iter().filter(|r| !r.is_system).collect();
            let role = dice.pick(&custom)?;
            let mut permissions = dice.permissions(&held);
            // Most of what the role has stays: its editor need not hold that.
            if dice.chance(50) {
                permissions.extend(dice.some(&role.permissions.keys(), 80));
                permissions.sort();
                permissions.dedup();
            }
            let body = json!({"permissions": permissions});
            (Method::PUT, format!("{ws}/roles/{}", role.id), Some(body))
        }
        Kind::DeleteRole => {
            let role = dice.role(house)?;
            (Method::DELETE, format!("{ws}/roles/{role}"), None)
        }
        Kind::CreateGroup => {
            let role = dice.role(house).filter(|_| dice.chance(70));
            let body = json!({"name": dice.name(), "role_id": role});
            (Method::POST, format!("{ws}/groups"), Some(body))
        }
        Kind::UpdateGroup => {
            let group = dice.pick(&groups)?;
            let body = json!({"role_id": dice.role(house)});
            (Method::PUT, format!("{ws}/groups/{group}"), Some(body))
        }
        Kind::DeleteGroup => {
            let group = dice.pick(&groups)?;
            (Method::DELETE, format!("{ws}/groups/{group}"), None)
        }
        Kind::AddToGroup | Kind::JoinGroup => {
            let group = dice.pick(&groups)?;
            let account = match kind {
                Kind::JoinGroup => aim.account,
                _ => dice.pick(&others)?,
            };
            let body = json!({"account_id": account});
            (
                Method::POST,
                format!("{ws}/groups/{group}/members"),
                Some(body),
            )
        }
        Kind::RemoveFromGroup => {
            let places = house.places.iter();
            let placed: Vec<(Uuid, Uuid)> = places
                .flat_map(|(account, place)| place.groups.iter().map(|group| (*group, *account)))
                .collect();
            let (group, account) = dice.pick(&placed)?;
            let path = format!("{ws}/groups/{group}/members/{account}");
            (Method::DELETE, path, None)
        }
        Kind::AddMember => {
            let outside: Vec<Uuid> = aim
                .accounts
                .iter()
                .copied()
                .filter(|account| !members.contains(account))
                .collect();
            let account = dice.pick(&outside)?;
            let body = json!({"account_id": account, "role_id": dice.role(house)});
            (Method::POST, format!("{ws}/members"), Some(body))
        }
        Kind::UpdateMember | Kind::UpdateSelf => {
            let account = match kind {
                Kind::UpdateSelf => aim.account,
                _ => dice.pick(&others)?,
            };
            let body = json!({"role_id": dice.role(house)});
            (Method::PUT, format!("{ws}/members/{account}"), Some(body))
        }
        Kind::RemoveMember => {
            let account = dice.pick(&members)?;
            (Method::DELETE, format!("{ws}/members/{account}"), None)
        }
        Kind::CreateOwnKey | Kind::CreateOthersKey => {
            let account = match kind {
                Kind::CreateOwnKey => aim.account,
                _ => {
                    let all = aim.accounts.iter().copied();
                    let others: Vec<_> = all.filter(|id| *id != aim.account).collect();
                    dice.pick(&others)?
                }
            };
            let scopes = dice.scopes(&aim.state.keys[&aim.key].scopes);
            let body = json!({"name": dice.name(), "scopes": scopes});
            let path = format!("/api/v1/accounts/{account}/keys");
            (Method::POST, path, Some(body))
        }
        Kind::DeleteKey => {
            let (key, account) = dice.pick(aim.spare_keys)?;
            let path = format!("/api/v1/accounts/{account}/keys/{key}");
            (Method::DELETE, path, None)
        }
        Kind::CreateCategory => {
            let unassigned = dice.pick(&["deny", "allow"])?;
            let body = json!({"name": dice.name(), "unassigned": unassigned});
            (Method::POST, format!("{ws}/subset-categories"), Some(body))
        }
        Kind::CreatePolicy => {
            let body = json!({
                "name": dice.name(),
                "category_id": dice.pick(&categories)?,
                "filter_tree": {
                    "type": "condition",
                    "condition_type": "property",
                    "column": "country",
                    "operator": "equals",
                    "value": "DE",
                },
            });
            (Method::POST, format!("{ws}/subsets"), Some(body))
        }
        Kind::MovePolicy => {
            let policy = dice.pick(&policies)?;
            let body = json!({"category_id": dice.pick(&categories)?});
            (Method::PUT, format!("{ws}/subsets/{policy}"), Some(body))
        }
        Kind::Assign => {
            let policy = dice.pick(&policies)?;
            let body = json!({"group_id": dice.pick(&groups)?});
            let path = format!("{ws}/subsets/{policy}/assignments");
            (Method::POST, path, Some(body))
        }
        Kind::ReplaceAssigned => {
            let group = dice.pick(&groups)?;
            let body = json!({"subset_ids": dice.some(&policies, 50)});
            let path = format!("{ws}/groups/{group}/subsets");
            (Method::PUT, path, Some(body))
        }
        Kind::Restore => {
            let revisions: Vec<u64> = (1..=house.policies.revision).collect();
            let revision = dice.pick(&revisions)?;
            let path = format!("{ws}/revisions/{revision}/restore");
            (Method::POST, path, None)
        }
    };
    Some(Call {
        kind,
        method,
        path,
        body,
    })
}
