//! What everybody may do, worked out by hand from what the store lists, and what must be true of
//! a step from one such state to the next.

use std::collections::{BTreeMap, BTreeSet};

use syncguard::policy::PolicySet;
use syncguard::principal::{ADMIN, Group, OWNER, Role};
use syncguard::store::Store;
use uuid::Uuid;

/// Keys of the catalog, such as `syncs.trigger`.
pub(crate) type Held = BTreeSet<String>;

/// An account's place in a workspace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) role_id: Uuid,
    pub(crate) groups: BTreeSet<Uuid>,
}

/// An API key; when it was last used does not count as a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) account_id: Uuid,
    pub(crate) scopes: Vec<String>,
}

/// One workspace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct House {
    pub(crate) roles: Vec<Role>,
    pub(crate) groups: Vec<Group>,
    /// By account.
    pub(crate) places: BTreeMap<Uuid, Place>,
    pub(crate) policies: PolicySet,
}

/// Everything that decides what anybody may do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) houses: BTreeMap<Uuid, House>,
    pub(crate) keys: BTreeMap<Uuid, Key>,
}

impl Snapshot {
    pub(crate) async fn take(store: &Store, workspaces: &[Uuid]) -> Snapshot {
        let mut houses = BTreeMap::new();
        for id in workspaces {
            houses.insert(*id, House::take(store, *id).await);
        }
        let mut keys = BTreeMap::new();
        for account in store.list_accounts().await.unwrap() {
            for key in store.list_keys(account.id).await.unwrap() {
                let (account_id, scopes) = (key.account_id, key.scopes);
                keys.insert(key.id, Key { account_id, scopes });
            }
        }
        Snapshot { houses, keys }
    }

    /// What an account holds in a workspace: its own role and those of its groups together.
    pub(crate) fn of_account(&self, workspace: Uuid, account: Uuid) -> Held {
        let house = &self.houses[&workspace];
        let Some(place) = house.places.get(&account) else {
            return Held::new();
        };
        let mut held = house.granted(place.role_id);
        for group in house.groups.iter().filter(|g| place.groups.contains(&g.id)) {
            held.extend(group.role_id.into_iter().flat_map(|id| house.granted(id)));
        }
        held
    }

    /// What a key opens in a workspace: what its account holds, as far as its scopes reach.
    pub(crate) fn of_key(&self, workspace: Uuid, key: Uuid) -> Held {
        let Some(key) = self.keys.get(&key) else {
            return Held::new();
        };
        let reaches = |permission: &String| {
            let scope = permission.replace('.', ":");
            key.scopes.iter().any(|own| own == "*" || *own == scope)
        };
        let held = self.of_account(workspace, key.account_id);
        held.into_iter().filter(reaches).collect()
    }

    /// An account's own role in a workspace.
    pub(crate) fn role(&self, workspace: Uuid, account: Uuid) -> Option<Uuid> {
        let place = self.houses[&workspace].places.get(&account);
        place.map(|place| place.role_id)
    }
}

impl House {
    async fn take(store: &Store, id: Uuid) -> House {
        let members = store.list_members(id).await.unwrap();
        let mut places: BTreeMap<Uuid, Place> = members
            .into_iter()
            .map(|member| {
                let (role_id, groups) = (member.role_id, BTreeSet::new());
                (member.account_id, Place { role_id, groups })
            })
            .collect();
        let groups = store.list_groups(id).await.unwrap();
        for group in &groups {
            for member in store.list_group_members(id, group.id).await.unwrap() {
                let place = places.get_mut(&member.account_id);
                let place = place.expect("whoever is in a group is a member of the workspace");
                place.groups.insert(group.id);
            }
        }
        House {
            roles: store.list_roles(id).await.unwrap(),
            groups,
            places,
            policies: store.policy_set(id).await.unwrap(),
        }
    }

    fn granted(&self, role_id: Uuid) -> Held {
        let role = self.roles.iter().find(|role| role.id == role_id);
        let role = role.expect("a role that somebody has is there");
        role.permissions.keys().into_iter().collect()
    }
}

/// What is wrong with a step that a call with a key made.
pub(crate) fn faults(before: &Snapshot, after: &Snapshot, key: Uuid) -> Vec<String> {
    let caller = before.keys[&key].account_id;
    let mut faults = Vec::new();
    for (workspace, house) in &after.houses {
        let held = before.of_key(*workspace, key);
        let mut gain = |who: String, was: Held, is: Held| {
            let beyond: Vec<_> = is.difference(&was).filter(|p| !held.contains(*p)).collect();
            if !beyond.is_empty() {
                faults.push(format!("{who} gained {beyond:?}, which the caller lacks"));
            }
        };
        for account in house.places.keys() {
            let was = before.of_account(*workspace, *account);
            let is = after.of_account(*workspace, *account);
            gain(format!("account {account}"), was, is);
        }
        for id in after.keys.keys() {
            let was = before.of_key(*workspace, *id);
            gain(format!("key {id}"), was, after.of_key(*workspace, *id));
        }
        let giver = before.role(*workspace, caller);
        for (account, place) in &house.places {
            let became =
                |role| place.role_id == role && before.role(*workspace, *account) != Some(role);
            if became(OWNER) && giver != Some(OWNER) {
                faults.push(format!("account {account} became owner by no owner"));
            }
            if became(ADMIN) && giver != Some(OWNER) && giver != Some(ADMIN) {
                faults.push(format!("account {account} became admin by no admin"));
            }
        }
        if !house.places.values().any(|place| place.role_id == OWNER) {
            faults.push(format!("workspace {workspace} has no owner"));
        }
        if let Some(place) = house.places.get(&caller) {
            let was = before.houses[workspace].places.get(&caller);
            let joined = place
                .groups
                .iter()
                .any(|group| was.is_none_or(|was| !was.groups.contains(group)));
            if joined {
                faults.push("the caller put themself into a group".into());
            }
        }
    }
    faults
}
