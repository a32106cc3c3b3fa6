//! Custom roles: names, use, and what they grant.

use syncguard::principal::{Permissions, Role, system_roles};
use syncguard::store::AuditFilter;

use super::*;

on_both_databases!(
    roles_read_back_after_the_system_roles,
    role_name_is_taken_once_in_a_workspace,
    role_in_use_is_not_deleted,
    role_that_somebody_changed_is_stale,
    role_of_another_workspace_is_not_found,
    permission_that_is_not_known_grants_nothing,
    every_change_of_a_role_is_told,
);

fn permissions(keys: &[&str]) -> Permissions {
    keys.iter()
        .map(|key| Permissions::of(key).unwrap())
        .fold(Permissions::NONE, |all, one| all | one)
}

pub(super) fn role(workspace: &Workspace, name: &str, keys: &[&str]) -> Role {
    Role {
        id: Uuid::now_v7(),
        workspace_id: Some(workspace.id),
        name: name.to_owned(),
        description: "Looks after data".to_owned(),
        is_system: false,
        permissions: permissions(keys),
        created_at: at(1),
        updated_at: at(1),
    }
}

impl House {
    /// A new custom role of the workspace.
    pub(super) async fn role(&self, name: &str, keys: &[&str]) -> Role {
        let role = role(&self.workspace, name, keys);
        self.store
            .insert_role(self.workspace.id, &role, &self.act(1))
            .await
            .unwrap();
        role
    }
}

async fn roles_read_back_after_the_system_roles(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let late = Role {
        created_at: at(9),
        ..role(&house.workspace, "late", &[])
    };
    store.insert_role(ws, &late, &house.act(9)).await.unwrap();
    let early = house
        .role("early", &["sources.read", "syncs.trigger"])
        .await;
    let [owner, admin, member] = system_roles();
    let expected = [owner.clone(), admin, member, early.clone(), late];
    assert_eq!(store.list_roles(ws).await.unwrap(), expected);
    assert_eq!(store.get_role(ws, early.id).await.unwrap(), early);
    assert_eq!(store.get_role(ws, OWNER).await.unwrap(), owner);
    assert_not_found(store.get_role(ws, Uuid::now_v7()).await, "role");

    let changed = Role {
        name: "earliest".to_owned(),
        description: String::new(),
        permissions: permissions(&["models.read"]),
        updated_at: at(10),
        ..early.clone()
    };
    let act = house.act(10);
    store.update_role(ws, &early, &changed, &act).await.unwrap();
    assert_eq!(store.get_role(ws, early.id).await.unwrap(), changed);
    store.delete_role(ws, &changed, &act).await.unwrap();
    assert_not_found(store.get_role(ws, early.id).await, "role");
}

async fn role_name_is_taken_once_in_a_workspace(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(2));
    house.role("steward", &[]).await;
    let other = house.role("other", &[]).await;
    for taken in ["steward", "owner", "admin", "member"] {
        let twin = role(&house.workspace, taken, &[]);
        assert_conflict(store.insert_role(ws, &twin, &act).await, taken);
        let renamed = Role {
            name: taken.to_owned(),
            ..other.clone()
        };
        let saved = store.update_role(ws, &other, &renamed, &act).await;
        assert_conflict(saved, taken);
    }
    assert_eq!(store.list_roles(ws).await.unwrap().len(), 5);
    let elsewhere = house.other_workspace().await;
    let free = role(&elsewhere, "steward", &[]);
    store.insert_role(elsewhere.id, &free, &act).await.unwrap();
}

async fn role_in_use_is_not_deleted(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let role = house.role("steward", &["sources.read"]).await;
    let group = house.group("north", Some(role.id)).await;
    let member = house.join("m@example.com", role.id).await;
    let in_use = store.delete_role(ws, &role, &act).await;
    assert_conflict(in_use, "group north, member m@example.com");
    store
        .update_member(ws, &member, MEMBER, &act)
        .await
        .unwrap();
    let in_use = store.delete_role(ws, &role, &act).await;
    assert_conflict(in_use, "in use by group north;");
    let without = Group {
        role_id: None,
        ..group.clone()
    };
    store.update_group(&group, &without, &act).await.unwrap();
    store.delete_role(ws, &role, &act).await.unwrap();
    let gone = store.delete_role(ws, &role, &act).await;
    assert_not_found(gone, "role");
}

async fn role_that_somebody_changed_is_stale(house: House) {
    let (store, ws, act) = (&house.store, house.workspace.id, house.act(3));
    let read = house.role("steward", &["sources.read"]).await;
    let theirs = Role {
        permissions: Permissions::NONE,
        ..read.clone()
    };
    store.update_role(ws, &read, &theirs, &act).await.unwrap();
    let mine = Role {
        description: "mine".to_owned(),
        ..read.clone()
    };
    assert_stale(store.update_role(ws, &read, &mine, &act).await);
    assert_stale(store.delete_role(ws, &read, &act).await);
    assert_eq!(store.get_role(ws, read.id).await.unwrap(), theirs);
}

async fn role_of_another_workspace_is_not_found(house: House) {
    let (store, other) = (&house.store, house.other_workspace().await);
    let (ws, act) = (house.workspace.id, house.act(3));
    let role = house.role("steward", &["sources.read"]).await;
    let id = other.id;
    assert_not_found(store.get_role(id, role.id).await, "role");
    assert_not_found(store.update_role(id, &role, &role, &act).await, "role");
    assert_not_found(store.delete_role(id, &role, &act).await, "role");
    assert_eq!(store.list_roles(id).await.unwrap(), system_roles());

    let joined = house.join("m@example.com", MEMBER).await;
    let added = store.insert_member(id, joined.account_id, role.id, &act);
    assert_not_found(added.await, "role");
    let owner = store.get_member(id, house.account.id).await.unwrap();
    let changed = store.update_member(id, &owner, role.id, &act).await;
    assert_not_found(changed, "role");
    let stray = group(id, "north", Some(role.id));
    assert_not_found(store.insert_group(&stray, &act).await, "role");
    let plain = group(id, "north", None);
    let plain = store.insert_group(&plain, &act).await.unwrap();
    let stray = Group {
        role_id: Some(role.id),
        ..plain.clone()
    };
    assert_not_found(store.update_group(&plain, &stray, &act).await, "role");
    assert_eq!(store.get_role(ws, role.id).await.unwrap(), role);
}

async fn permission_that_is_not_known_grants_nothing(house: House) {
    let role = house.role("steward", &["sources.read"]).await;
    let sql = r#"UPDATE roles SET permissions = '["sources.read", "sources.fly"]'"#;
    assert_eq!(raw(&house, sql).await.unwrap(), 1);
    let read = house.store.get_role(house.workspace.id, role.id).await;
    assert_eq!(read.unwrap(), role);
}

async fn every_change_of_a_role_is_told(house: House) {
    let (store, ws) = (&house.store, house.workspace.id);
    let role = house.role("steward", &["sources.read"]).await;
    let changed = Role {
        name: "keeper".to_owned(),
        ..role.clone()
    };
    let act = Act {
        key_id: Some(Uuid::from_u128(2)),
        request_id: Some("request".to_owned()),
        ..house.act(4)
    };
    store.update_role(ws, &role, &changed, &act).await.unwrap();
    store.delete_role(ws, &changed, &act).await.unwrap();
    let filter = AuditFilter {
        action: Some("role.".to_owned()),
        ..AuditFilter::default()
    };
    let links = store.list_audit(Some(ws), &filter, 0, 10).await.unwrap();
    let lines: Vec<Value> = links
        .iter()
        .map(|(_, link)| serde_json::from_str(link.line.get()).unwrap())
        .collect();
    let expected = [
        ("role.create", None, Some(&role)),
        ("role.update", Some(&role), Some(&changed)),
        ("role.delete", Some(&changed), None),
    ];
    assert_eq!(lines.len(), expected.len());
    for (line, (action, before, after)) in lines.iter().zip(expected) {
        assert_eq!(line["action"], action);
        assert_eq!(line["object_id"], json!(role.id));
        assert_eq!(line["account_id"], json!(house.account.id));
        assert_eq!(line["before"], json!(before), "{action}");
        assert_eq!(line["after"], json!(after), "{action}");
    }
    assert_eq!(lines[1]["request_id"], "request");
    assert_eq!(lines[1]["key_id"], json!(Uuid::from_u128(2)));
}
