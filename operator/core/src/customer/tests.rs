use glyph_crds::GlyphCustomerSpec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::billing::Owner;

fn meta() -> Meta {
    let [kind, namespace, name, uid] = ["GlyphCustomer", "shop", "ada", "uid-1"].map(str::to_owned);
    Meta {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        owner: Owner {
            kind,
            namespace,
            name,
            uid,
        },
        generation: Some(1),
        deleting: false,
        deleted_at: None,
        finalized: false,
    }
}

fn spec(value: serde_json::Value) -> GlyphCustomerSpec {
    serde_json::from_value(value).unwrap()
}

fn ada(cognito: bool, policy: &str) -> GlyphCustomerSpec {
    let mut value =
        json!({"email": "ada@example.com", "displayName": "Ada", "deletionPolicy": policy});
    if cognito {
        value["cognito"] = json!({"create": true});
    }
    spec(value)
}

/// Stripe and Cognito in memory, and the resource.
#[derive(Clone, Debug, Default)]
struct World {
    customer: Option<Customer>,
    user: Option<User>,
    status: GlyphCustomerStatus,
    finalized: bool,
    made_user: bool,
    made: usize,
}

impl World {
    fn observe(&self, spec: &GlyphCustomerSpec, deleting: bool) -> Observed {
        let user = match (&spec.cognito, &self.user) {
            (None, _) => Identified::NotAsked,
            (Some(_), Some(user)) => Identified::Found(user.clone()),
            (Some(cognito), None) => Identified::Missing {
                wanted: spec.email.clone(),
                create: cognito.create.then(|| spec.email.clone()),
            },
        };
        let customer = match (&self.status.stripe_customer_id, &self.customer) {
            (None, _) => Billed::Unknown,
            (Some(_), Some(customer)) => Billed::Found(customer.clone()),
            (Some(id), None) => Billed::Gone(id.clone()),
        };
        Observed {
            meta: Meta {
                deleting,
                deleted_at: None,
                finalized: self.finalized,
                ..meta()
            },
            spec: spec.clone(),
            status: self.status.clone(),
            made_user: self.made_user,
            rival: None,
            user,
            customer,
            recreate: None,
            tier: Some("free".into()),
            tier_changes_in: None,
        }
    }

    fn write(&mut self, id: String, params: CustomerParams) {
        let CustomerParams {
            email,
            name,
            cognito_sub,
            owner,
            instead_of: _,
        } = params;
        let (email, owner) = (Some(email), Some(owner));
        self.customer = Some(Customer {
            id,
            deleted: false,
            email,
            name,
            cognito_sub,
            owner,
        });
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::AddFinalizer => self.finalized = true,
            Action::AddUserFinalizer => self.made_user = true,
            Action::MakeUser(username, _) => {
                self.user = Some(User {
                    username,
                    sub: "sub-1".into(),
                    stripe_customer_id: None,
                });
            }
            Action::MakeCustomer(params) => {
                if self.customer.is_none() {
                    self.made += 1;
                    self.write(format!("cus_{}", self.made), params);
                }
                self.status.stripe_customer_id = self.customer.as_ref().map(|c| c.id.clone());
                self.status.intent = None;
            }
            Action::UpdateCustomer(id, params) => self.write(id, params),
            Action::LinkUser(_, id) => self.user.as_mut().unwrap().stripe_customer_id = Some(id),
            Action::DeleteCustomer(_) => self.customer = None,
            Action::DeleteUser(_) => self.user = None,
            Action::RemoveFinalizers => (self.finalized, self.made_user) = (false, false),
        }
    }

    fn converge(&mut self, spec: &GlyphCustomerSpec, deleting: bool) -> Next<Action> {
        for _ in 0..16 {
            let observed = self.observe(spec, deleting);
            match plan(&observed) {
                Next::Do(action) => self.apply(action),
                next => {
                    self.status = status(&observed, &next).status;
                    return next;
                }
            }
        }
        panic!("does not converge: {self:#?}");
    }
}

#[test]
fn both_sides_name_each_other() {
    let mut world = World::default();
    assert_eq!(world.converge(&ada(true, "Retain"), false), Next::Done);
    let (customer, user) = (world.customer.unwrap(), world.user.unwrap());
    assert_eq!(customer.cognito_sub.as_deref(), Some("sub-1"));
    assert_eq!(user.stripe_customer_id, Some(customer.id));
    assert_eq!(world.status.cognito_sub.as_deref(), Some("sub-1"));
    assert_eq!(world.status.conditions[0].reason, reason::LINKED);
}

#[test]
fn nothing_external_is_made_before_the_finalizers_are_on() {
    let mut world = World::default();
    let observed = world.observe(&ada(true, "Retain"), false);
    assert_eq!(plan(&observed), Next::Do(Action::AddFinalizer));
    world.finalized = true;
    let observed = world.observe(&ada(true, "Retain"), false);
    assert_eq!(plan(&observed), Next::Do(Action::AddUserFinalizer));
}

#[test]
fn the_younger_of_two_with_one_address_touches_nothing() {
    let world = World {
        finalized: true,
        ..World::default()
    };
    let mut observed = world.observe(&ada(false, "Retain"), false);
    observed.rival = Some(("grace".into(), "e-mail address"));
    let Next::Wait(blocker) = plan(&observed) else {
        panic!("it should wait")
    };
    assert_eq!(blocker.reason, reason::CONFLICT);
    assert!(
        blocker.message.contains("GlyphCustomer grace is older"),
        "{}",
        blocker.message
    );
}

#[test]
fn a_customer_deleted_in_stripe_is_drift_and_not_made_again() {
    let mut world = World::default();
    world.converge(&ada(false, "Retain"), false);
    world.customer = None;
    let Next::Wait(blocker) = world.converge(&ada(false, "Retain"), false) else {
        panic!("it should wait");
    };
    assert_eq!((blocker.reason, world.made), (reason::DELETED_IN_STRIPE, 1));
    assert_eq!(world.status.conditions[3].status, "True");
}

#[test]
fn deletion_takes_away_only_what_the_policy_and_our_own_making_allow() {
    let mut kept = World::default();
    kept.converge(&ada(true, "Retain"), false);
    assert_eq!(kept.converge(&ada(true, "Retain"), true), Next::Done);
    assert!(kept.customer.is_some() && kept.user.is_some() && !kept.finalized);

    let mut deleted = World::default();
    deleted.converge(&ada(true, "Delete"), false);
    deleted.converge(&ada(true, "Delete"), true);
    assert!(deleted.customer.is_none() && deleted.user.is_none() && !deleted.finalized);

    let user = User {
        username: "ada".into(),
        sub: "s".into(),
        stripe_customer_id: None,
    };
    let mut theirs = World {
        user: Some(user),
        ..World::default()
    };
    theirs.converge(&ada(true, "Delete"), false);
    theirs.converge(&ada(true, "Delete"), true);
    assert!(
        theirs.customer.is_none() && theirs.user.is_some(),
        "a user we did not make stays"
    );
}

#[test]
fn a_create_under_way_is_found_and_deleted_with_the_resource() {
    let mut world = World {
        finalized: true,
        ..World::default()
    };
    world.status.intent =
        Some(crate::intent::new("uid-1", "CreateCustomer", &"", "n", meta().now).unwrap());
    let observed = world.observe(&ada(false, "Delete"), true);
    assert!(matches!(plan(&observed), Next::Do(Action::MakeCustomer(_))));
    world.converge(&ada(false, "Delete"), true);
    assert!(world.customer.is_none() && !world.finalized);
}

#[test]
fn two_customers_clash_over_an_address_or_a_user_and_the_older_wins() {
    let customer = |name: &str, made: &str, spec: serde_json::Value| {
        let mut customer = GlyphCustomer::new(name, serde_json::from_value(spec).unwrap());
        customer.metadata.uid = Some(name.to_owned());
        customer.metadata.creation_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(made.parse().unwrap()),
        );
        customer
    };
    let one = customer(
        "a",
        "2026-01-01T00:00:00Z",
        json!({"email": "Ada@example.com"}),
    );
    let same = customer(
        "b",
        "2026-01-02T00:00:00Z",
        json!({"email": "ada@example.com"}),
    );
    let other = customer(
        "c",
        "2026-01-02T00:00:00Z",
        json!({"email": "c@example.com"}),
    );
    assert_eq!(common_claim(&one, &same), Some("e-mail address"));
    assert_eq!(common_claim(&one, &other), None);
    assert!(is_older(&one, &same) && !is_older(&same, &one));
    assert!(
        is_older(&same, &other) && !is_older(&other, &same),
        "the UID decides at the same age"
    );
    let user = json!({"username": "ada"});
    let [one, same] = ["x@example.com", "y@example.com"].map(|email| {
        customer(
            "d",
            "2026-01-01T00:00:00Z",
            json!({"email": email, "cognito": user}),
        )
    });
    assert_eq!(common_claim(&one, &same), Some("Cognito user"));
}

proptest! {
    /// Whatever was asked for before, and whatever was changed in Stripe, the spec is what Stripe holds in
    /// the end, under the same customer (CASE 18).
    #[test]
    fn a_spec_alone_decides_what_stripe_holds(names in prop::collection::vec("[a-z]{1,6}", 0..6), meddle: bool) {
        let mut world = World::default();
        for name in &names {
            let changed = spec(json!({"email": format!("{name}@example.com"), "displayName": name}));
            world.converge(&changed, false);
            if let (true, Some(customer)) = (meddle, world.customer.as_mut()) {
                customer.email = None;
                customer.cognito_sub = Some("forged".into());
            }
        }
        prop_assert_eq!(world.converge(&ada(true, "Retain"), false), Next::Done);
        let customer = world.customer.unwrap();
        prop_assert_eq!(customer.email.as_deref(), Some("ada@example.com"));
        prop_assert_eq!(customer.name.as_deref(), Some("Ada"));
        prop_assert_eq!(customer.cognito_sub.as_deref(), Some("sub-1"));
        prop_assert_eq!(world.made, 1);
    }
}

#[test]
fn a_customer_deleted_in_stripe_is_made_anew_only_for_whoever_names_it() {
    let mut world = World::default();
    world.converge(&ada(false, "Retain"), false);
    world.customer = None;
    let mut observed = world.observe(&ada(false, "Retain"), false);
    let Billed::Gone(gone) = observed.customer.clone() else {
        panic!("it should be gone");
    };
    for (recreate, made) in [
        (None, false),
        (Some("cus_other".to_owned()), false),
        (Some(gone.clone()), true),
    ] {
        observed.recreate = recreate;
        match plan(&observed) {
            Next::Do(Action::MakeCustomer(params)) => {
                assert!(made);
                assert_eq!(params.instead_of.as_ref(), Some(&gone));
            }
            Next::Wait(blocker) => {
                assert!(!made);
                assert_eq!(blocker.reason, reason::DELETED_IN_STRIPE);
                assert!(blocker.message.contains(&format!("{RECREATE}={gone}")));
            }
            other => panic!("{other:?}"),
        }
    }
}
