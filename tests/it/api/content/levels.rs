//! Which content policies each level has, and who may see and change them.

use reqwest::Method;
use serde_json::json;

use super::{Org, VAGUE, create, names, refused, source, told};
use crate::api::{ADMIN, BOOTSTRAP_KEY, MEMBER, NOBODY, OWNER, Server, text};

on_both_stores!(
    each_level_lists_its_own_and_effective_all_that_apply,
    every_fault_of_a_query_is_told,
    levels_are_for_those_who_may_see_them,
    levels_are_changed_by_those_who_may,
    keys_need_the_scope,
);

async fn each_level_lists_its_own_and_effective_all_that_apply(server: Server) {
    let org = Org::of(&server).await;
    let other = server
        .made("/api/v1/workspaces", json!({"name": "other"}))
        .await;
    let spare = source(&server, &org.ws, "spare").await;
    let ours = format!("&workspaceId={}", org.workspace);
    let theirs = format!("&workspaceId={other}");
    let (repo, spare_repo) = (
        format!("{ours}&repoId={}", org.source),
        format!("{ours}&repoId={spare}"),
    );
    for list in ["", &ours, &theirs, &repo, &spare_repo] {
        assert!(names(&server, &org.list(list)).await.is_empty());
    }
    create(&server, org.policy("all 1", VAGUE, 0)).await;
    create(&server, org.within("here 1", None)).await;
    create(&server, org.within("source", Some(&org.source))).await;
    create(&server, org.within("spare", Some(&spare))).await;
    let mut there = org.within("there", None);
    there["workspaceId"] = json!(other);
    create(&server, there).await;
    create(&server, org.within("here 2", None)).await;
    create(&server, org.policy("all 2", VAGUE, 0)).await;
    for (scope, own, effective) in [
        ("", "all 2, all 1", "all 2, all 1"),
        (
            ours.as_str(),
            "here 2, here 1",
            "all 2, here 2, here 1, all 1",
        ),
        (theirs.as_str(), "there", "all 2, there, all 1"),
        (
            repo.as_str(),
            "source",
            "all 2, here 2, source, here 1, all 1",
        ),
        (
            spare_repo.as_str(),
            "spare",
            "all 2, here 2, spare, here 1, all 1",
        ),
    ] {
        for (more, expected) in [
            ("", own),
            ("&effective=false", own),
            ("&effective=true", effective),
        ] {
            let path = org.list(&format!("{scope}{more}"));
            assert_eq!(names(&server, &path).await.join(", "), expected, "{path}");
        }
    }
}

async fn every_fault_of_a_query_is_told(server: Server) {
    let org = Org::of(&server).await;
    let ours = format!("&workspaceId={}", org.workspace);
    for (path, about) in [
        ("/policy".to_owned(), "orgId: missing"),
        ("/policy?orgId=".to_owned(), "orgId: "),
        (
            format!("/policy?workspaceId={}", org.workspace),
            "orgId: missing",
        ),
        (org.list(&format!("&repoId={}", org.source)), "workspaceId"),
        (org.list("&workspaceId=x"), "workspaceId: "),
        (org.list(&format!("{ours}&repoId=x")), "repoId: "),
        (org.list("&effective=yes"), "effective: "),
        (org.list("&take=5"), "take: "),
        (org.list(&format!("&orgId={}", org.id)), "orgId: "),
    ] {
        let message = refused(server.get(&path).await, 400);
        assert!(message.contains(about), "{path}: {message}");
    }
    let message = refused(server.get("/policy?repoId=x&effective=7").await, 400);
    for key in ["orgId: ", "repoId: ", "effective: "] {
        assert!(message.contains(key), "{message}");
    }
    for other in ["org-123", "org_00000000000000000000000000000000"] {
        refused(server.get(&format!("/policy?orgId={other}")).await, 403);
        let mut policy = org.policy("other", VAGUE, 0);
        policy["orgId"] = json!(other);
        refused(server.post("/policy", policy).await, 403);
    }
    let nowhere = org.list(&format!("&workspaceId={NOBODY}"));
    refused(server.get(&nowhere).await, 403);
    let nothing = org.list(&format!("{ours}&repoId={NOBODY}"));
    assert_eq!(refused(server.get(&nothing).await, 404), "source not found");
}

/// Two workspaces with a policy each: that of the first owner, and one that they have left.
struct Two {
    org: Org,
    theirs: String,
    stranger: String,
    here: String,
    there: String,
    all: String,
}

async fn two(server: &Server) -> Two {
    let org = Org::of(server).await;
    let (stranger_id, stranger) = server.account("stranger@example.com", json!(["*"])).await;
    let theirs = server
        .made("/api/v1/workspaces", json!({"name": "theirs"}))
        .await;
    let members = format!("/api/v1/workspaces/{theirs}/members");
    let owner = json!({"account_id": stranger_id, "role_id": OWNER});
    server.post(&members, owner).await.expect(201);
    let first = format!("{members}/{}", server.owner_id().await);
    let left = server
        .by(&stranger, Method::DELETE, &first, json!({}))
        .await;
    left.expect(204);
    let mut there = org.within("there", None);
    there["workspaceId"] = json!(theirs);
    let there = server.by(&stranger, Method::POST, "/policy", there).await;
    let there = text(&told(there, 201)["id"]);
    let here = text(&create(server, org.within("here", None)).await["id"]);
    let all = text(&create(server, org.policy("all", VAGUE, 0)).await["id"]);
    Two {
        org,
        theirs,
        stranger,
        here,
        there,
        all,
    }
}

async fn levels_are_for_those_who_may_see_them(server: Server) {
    let two = two(&server).await;
    let (org, ws) = (&two.org, &two.org.ws);
    let blind = server.role(ws, "blind", &["sources.read"]).await;
    let (_, blind) = server.joined(ws, "blind@example.com", &blind).await;
    let (_, member) = server.joined(ws, "member@example.com", MEMBER).await;
    let ours = format!("&workspaceId={}", org.workspace);
    let theirs = format!("&workspaceId={}", two.theirs);
    let repo = format!("{ours}&repoId={}", org.source);
    let get = async |key: &str, path: &str| {
        let answer = server.ask(Some(key), Method::GET, path, None).await;
        if answer.status == 403 {
            refused(answer, 403);
            return 403;
        }
        assert_eq!(answer.body["success"], true, "{answer:?}");
        answer.status
    };
    // The organisation's own is governed from the first workspace, whose owner sees everything.
    for (path, owner, stranger) in [
        (org.list(""), 200, 200),
        (org.list(&ours), 200, 403),
        (org.list(&repo), 200, 403),
        (org.list(&theirs), 200, 200),
        (org.list(&format!("{ours}&effective=true")), 200, 403),
        (format!("/policy/{}", two.all), 200, 200),
        (format!("/policy/{}", two.here), 200, 403),
        (format!("/policy/{}", two.there), 200, 200),
    ] {
        assert_eq!(get(BOOTSTRAP_KEY, &path).await, owner, "{path}");
        assert_eq!(get(&two.stranger, &path).await, stranger, "{path}");
        assert_eq!(get(&blind, &path).await, 403, "{path}");
        let elsewhere = path.contains(&two.theirs) || path.contains(&two.there);
        let expected = if elsewhere { 403 } else { 200 };
        assert_eq!(get(&member, &path).await, expected, "{path}");
        refused(server.ask(None, Method::GET, &path, None).await, 401);
    }
}

async fn levels_are_changed_by_those_who_may(server: Server) {
    let two = two(&server).await;
    let (org, ws) = (&two.org, &two.org.ws);
    let (_, member) = server.joined(ws, "member@example.com", MEMBER).await;
    let (_, admin) = server.joined(ws, "admin@example.com", ADMIN).await;
    let mut there = org.within("new", None);
    there["workspaceId"] = json!(two.theirs);
    let mut nowhere = org.within("new", None);
    nowhere["workspaceId"] = json!(NOBODY);
    for (policy, admins, strangers) in [
        (org.policy("new", VAGUE, 0), 201, 403),
        (org.within("new", None), 201, 403),
        (org.within("new", Some(&org.source)), 201, 403),
        (there, 403, 201),
        (nowhere, 403, 403),
    ] {
        for (key, expected) in [(&admin, admins), (&two.stranger, strangers), (&member, 403)] {
            let answer = server
                .by(key, Method::POST, "/policy", policy.clone())
                .await;
            match expected {
                201 => drop(told(answer, 201)),
                _ => drop(refused(answer, 403)),
            }
        }
    }
    for (id, admins, strangers) in [
        (&two.all, true, false),
        (&two.here, true, false),
        (&two.there, false, true),
    ] {
        let path = format!("/policy/{id}");
        for (key, may) in [
            (&member, false),
            (&two.stranger, strangers),
            (&admin, admins),
        ] {
            for method in [Method::PUT, Method::DELETE] {
                if may {
                    continue;
                }
                let change = json!({"name": "changed"});
                refused(server.by(key, method, &path, change).await, 403);
            }
        }
        let key = if admins { &admin } else { &two.stranger };
        let change = json!({"name": "changed"});
        told(server.by(key, Method::PUT, &path, change).await, 200);
        let gone = server.by(key, Method::DELETE, &path, json!({})).await;
        gone.expect(200);
    }
}

async fn keys_need_the_scope(server: Server) {
    let org = Org::of(&server).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let writer = server.key(&owner, json!(["governance:write"])).await;
    let policy = org.policy("one", VAGUE, 0);
    let made = server
        .by(&writer, Method::POST, "/policy", policy.clone())
        .await;
    let path = format!("/policy/{}", text(&told(made, 201)["id"]));
    for list in [org.list(""), path.clone()] {
        let read = async |key: &str| server.ask(Some(key), Method::GET, &list, None).await;
        read(&reader).await.expect(200);
        let message = refused(read(&writer).await, 403);
        assert_eq!(message, "the API key lacks the scope governance:read");
    }
    for (method, path, body) in [
        (Method::POST, "/policy", policy),
        (Method::PUT, path.as_str(), json!({"name": "renamed"})),
        (Method::DELETE, path.as_str(), json!({})),
    ] {
        let change = async |key: &str| server.by(key, method.clone(), path, body.clone()).await;
        let message = refused(change(&reader).await, 403);
        assert_eq!(message, "the API key lacks the scope governance:write");
        let changed = change(&writer).await;
        assert!(changed.status < 300, "{changed:?}");
    }
}
