//! Policy templates: whose are seen, their versions and reviews, and those that came with
//! syncguard.

use syncguard::compliance::template_pack::SYNCGUARD;
use syncguard::compliance::{
    Listed, OrganizationId, Page, PolicyDefinition, ResourceType, Review, Sort, Template,
    TemplateCategory, TemplateId,
};
use syncguard::store::TemplateFilter;

use super::*;

on_both_databases!(
    template_reads_back,
    what_others_show_is_seen,
    earlier_versions_are_shown_as_far_as_they_were_public,
    changed_template_is_stale,
    reviews_and_publications_at_once_all_count,
    verified_templates_follow_their_packs,
    verified_templates_are_kept_by_two_at_once,
);

const NEWEST: Page = Page {
    limit: 100,
    offset: 0,
    sort: Sort {
        field: "createdAt",
        descending: true,
    },
};

/// Another organisation than the one of the installation.
const OTHER: u128 = 0xaa;

fn template(organization_id: OrganizationId, name: &str) -> Template {
    Template {
        id: TemplateId(Uuid::now_v7()),
        name: name.to_owned(),
        description: format!("what {name} is for"),
        category: TemplateCategory::Healthcare,
        policy_definition: PolicyDefinition::default(),
        target_resource_types: vec![ResourceType::App, ResourceType::Model],
        compliance_frameworks: vec!["hipaa".to_owned()],
        tags: vec!["a".to_owned(), "\"b\"".to_owned()],
        is_public: false,
        is_verified: false,
        published: false,
        version: 1,
        organization_id,
        reviews: Vec::new(),
        average_rating: None,
        created_at: at(10),
        updated_at: at(10),
    }
}

fn verified(id: u128, name: &str) -> Template {
    Template {
        id: TemplateId(Uuid::from_u128(id)),
        is_public: true,
        is_verified: true,
        published: true,
        ..template(SYNCGUARD, name)
    }
}

fn review(account_id: Uuid, rating: u8, second: i64) -> Review {
    Review {
        user_id: account_id,
        rating,
        comment: "a comment".to_owned(),
        created_at: at(second),
    }
}

fn names(listed: &Listed<Template>) -> BTreeSet<&str> {
    let names = listed.data.iter().map(|template| template.name.as_str());
    names.collect()
}

impl House {
    async fn other_organization(&self) -> OrganizationId {
        let other = Uuid::from_u128(OTHER);
        let id = match self.url.starts_with("sqlite:") {
            true => format!("X'{}'", other.simple()),
            false => format!("'{other}'"),
        };
        let statement =
            format!("INSERT INTO organizations (id, is_own, name) VALUES ({id}, FALSE, 'other')");
        raw(self, &statement).await.unwrap();
        OrganizationId(other)
    }

    async fn listed_templates(&self) -> Listed<Template> {
        let own = self.store.organization().await.unwrap();
        let filter = TemplateFilter::default();
        self.store
            .list_templates(own, &filter, NEWEST)
            .await
            .unwrap()
    }
}

async fn template_reads_back(house: House) {
    let (store, act) = (&house.store, house.act(10));
    let own = store.organization().await.unwrap();
    let made = template(own, "mine");
    store.insert_template(&made, &act).await.unwrap();
    assert_eq!(store.get_template(own, made.id).await.unwrap(), made);
    let listed = house.listed_templates().await;
    assert_eq!((listed.data, listed.total), (vec![made.clone()], 1));
    let same_name = template(own, "mine");
    let error = store.insert_template(&same_name, &act).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                code: "duplicate_name",
                ..
            }
        ),
        "{error}"
    );
    store.delete_template(&made, &act).await.unwrap();
    let gone = store.get_template(own, made.id).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound("template")), "{gone}");
}

async fn what_others_show_is_seen(house: House) {
    let (store, act) = (&house.store, house.act(10));
    let own = store.organization().await.unwrap();
    let other = house.other_organization().await;
    for of in [own, other] {
        for (name, is_public, published) in [
            ("shown", true, true),
            ("draft", true, false),
            ("private", false, true),
            ("private draft", false, false),
        ] {
            let name = match of == own {
                true => format!("our {name}"),
                false => format!("their {name}"),
            };
            let made = Template {
                is_public,
                published,
                ..template(of, &name)
            };
            store.insert_template(&made, &act).await.unwrap();
            let seen = store.get_template(own, made.id).await.is_ok();
            assert_eq!(seen, of == own || (is_public && published), "{name}");
        }
    }
    let listed = house.listed_templates().await;
    let expected = [
        "our shown",
        "our draft",
        "our private",
        "our private draft",
        "their shown",
    ];
    assert_eq!(names(&listed), BTreeSet::from(expected));
    assert_eq!(listed.total, 5);
    // A filter does not open what is hidden.
    let filter = TemplateFilter {
        search: Some("THEIR".to_owned()),
        category: Some(TemplateCategory::Healthcare),
        resource_type: Some(ResourceType::Model),
        verified: Some(false),
        framework: Some("hipaa".to_owned()),
    };
    let found = store.list_templates(own, &filter, NEWEST).await.unwrap();
    assert_eq!(names(&found), BTreeSet::from(["their shown"]));
    let found = store.list_templates(other, &filter, NEWEST).await.unwrap();
    assert_eq!(found.total, 4);
}

async fn earlier_versions_are_shown_as_far_as_they_were_public(house: House) {
    let store = &house.store;
    let own = store.organization().await.unwrap();
    let other = house.other_organization().await;
    let first = template(other, "theirs");
    store.insert_template(&first, &house.act(10)).await.unwrap();
    let first = store
        .publish_template(first.id, &house.act(11))
        .await
        .unwrap();
    let mut former = vec![first.clone()];
    for (description, second) in [("second", 12), ("third", 13)] {
        let before = former.last().unwrap();
        let change = Template {
            description: description.to_owned(),
            is_public: true,
            updated_at: at(second),
            ..before.clone()
        };
        let act = house.act(second);
        let after = store.update_template(before, &change, &act).await.unwrap();
        assert_eq!(u64::from(after.version), former.len() as u64 + 1);
        former.push(after);
    }
    let now = former.pop().unwrap();
    assert_eq!(store.get_template(own, now.id).await.unwrap(), now);
    let theirs = store.template_versions(other, &now).await.unwrap();
    assert_eq!(theirs, former);
    let ours = store.template_versions(own, &now).await.unwrap();
    assert_eq!(ours, former[1..]);
}

async fn changed_template_is_stale(house: House) {
    let (store, act) = (&house.store, house.act(10));
    let own = store.organization().await.unwrap();
    let before = template(own, "mine");
    store.insert_template(&before, &act).await.unwrap();
    let change = |tag: &str| Template {
        tags: vec![tag.to_owned()],
        ..before.clone()
    };
    let (a, b) = (change("a"), change("b"));
    let (a, b) = tokio::join!(
        store.update_template(&before, &a, &act),
        store.update_template(&before, &b, &act),
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    let error = a.err().or(b.err()).unwrap();
    assert!(matches!(error, StoreError::Stale), "{error}");
    // A review in between is no change of the document.
    let now = store.publish_template(before.id, &act).await.unwrap();
    let said = review(house.account.id, 5, 11);
    store.review_template(now.id, &said, &act).await.unwrap();
    let change = Template {
        tags: Vec::new(),
        ..now.clone()
    };
    let after = store.update_template(&now, &change, &act).await.unwrap();
    assert_eq!((after.version, after.reviews), (2, vec![said]));
}

async fn reviews_and_publications_at_once_all_count(house: House) {
    let (store, act) = (&house.store, house.act(10));
    let own = store.organization().await.unwrap();
    let made = template(own, "mine");
    store.insert_template(&made, &act).await.unwrap();
    let (a, b) = tokio::join!(
        store.publish_template(made.id, &act),
        store.publish_template(made.id, &act),
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);

    let mut accounts = vec![house.account.id];
    for i in 0..5 {
        let email = format!("{i}@example.com");
        accounts.push(house.join(&email, ADMIN).await.account_id);
    }
    let said: Vec<Review> = accounts
        .iter()
        .zip([1, 2, 3, 4, 5, 5])
        .map(|(account_id, rating)| review(*account_id, rating, 11))
        .collect();
    let all = said
        .iter()
        .map(|review| store.review_template(made.id, review, &act));
    for done in futures::future::join_all(all).await {
        done.unwrap();
    }
    let now = store.get_template(own, made.id).await.unwrap();
    assert_eq!(now.reviews.len(), 6);
    assert_eq!(now.average_rating, Some(3.3));
}

async fn verified_templates_follow_their_packs(house: House) {
    let (store, act) = (&house.store, house.act(10));
    let own = store.organization().await.unwrap();
    let (first, second) = (verified(1, "first"), verified(2, "second"));
    let both = [first.clone(), second.clone()];
    store.keep_verified_templates(&both).await.unwrap();
    let said = review(house.account.id, 4, 11);
    let reviewed = store.review_template(first.id, &said, &act).await.unwrap();
    // The same packs again, at a later time.
    let later = |template: &Template| Template {
        created_at: at(20),
        updated_at: at(20),
        ..template.clone()
    };
    let again = [later(&first), later(&second)];
    store.keep_verified_templates(&again).await.unwrap();
    assert_eq!(store.get_template(own, first.id).await.unwrap(), reviewed);
    assert_eq!(store.get_template(own, second.id).await.unwrap(), second);

    // A changed template is the next version; what no pack has is no longer shown.
    let changed = Template {
        description: "better".to_owned(),
        ..later(&first)
    };
    let packs = [changed.clone()];
    store.keep_verified_templates(&packs).await.unwrap();
    let now = store.get_template(own, first.id).await.unwrap();
    let expected = Template {
        version: 2,
        reviews: vec![said],
        average_rating: Some(4.0),
        created_at: first.created_at,
        ..changed.clone()
    };
    assert_eq!(now, expected);
    let versions = store.template_versions(own, &now).await.unwrap();
    assert_eq!(versions, [reviewed]);
    let gone = store.get_template(own, second.id).await;
    assert!(matches!(gone, Err(StoreError::NotFound("template"))));

    // It comes back as it was, or as its next version.
    let renewed = Template {
        tags: Vec::new(),
        ..later(&second)
    };
    let packs = [changed, renewed];
    store.keep_verified_templates(&packs).await.unwrap();
    let now = store.get_template(own, second.id).await.unwrap();
    assert_eq!((now.version, now.published), (2, true));
    assert_eq!(house.listed_templates().await.total, 2);
}

async fn verified_templates_are_kept_by_two_at_once(house: House) {
    let packs: Vec<_> = (1..=20)
        .map(|i| verified(i, &format!("template {i}")))
        .collect();
    let other = Store::open(&house.url).await.unwrap();
    let (a, b) = tokio::join!(
        house.store.keep_verified_templates(&packs),
        other.keep_verified_templates(&packs),
    );
    a.unwrap();
    b.unwrap();
    let listed = house.listed_templates().await;
    assert_eq!(listed.total, 20);
    assert!(listed.data.iter().all(|template| template.version == 1));
}
