use proptest::prelude::*;

use super::*;
use crate::billing::Owner;

fn meta() -> Meta {
    let [kind, namespace, name, uid] = ["Tier", "shop", "starter", "uid-1"].map(str::to_owned);
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

fn wanted(amount: i64, by: By) -> Wanted {
    Wanted {
        name: "Starter".into(),
        description: Some("For a start".into()),
        currency: "usd".into(),
        amount,
        interval: Some(Interval::Month),
        by,
    }
}

fn by_key() -> By {
    By::LookupKey("shop-starter".into())
}

/// A Stripe in memory, with what status remembers of it.
#[derive(Clone, Debug, Default)]
struct World {
    product: Option<Product>,
    prices: Vec<Price>,
    finalized: bool,
    steps: usize,
}

impl World {
    fn observe(&self, wanted: Option<Wanted>, deleting: bool) -> Observed {
        let current = match wanted.as_ref().map(|w| &w.by) {
            _ if deleting => None,
            Some(By::LookupKey(key)) => self
                .prices
                .iter()
                .find(|p| p.lookup_key.as_ref() == Some(key)),
            Some(By::PriceId(id)) => self.prices.iter().find(|p| p.id == *id),
            None => None,
        };
        let product = self.product.as_ref();
        let mut stale = self.prices.clone();
        stale.retain(|p| {
            p.active
                && product.is_some_and(|product| product.id == p.product)
                && meta().owns(p.owner.as_ref())
                && current.is_none_or(|c| c.id != p.id)
        });
        Observed {
            meta: Meta {
                deleting,
                deleted_at: None,
                finalized: self.finalized,
                ..meta()
            },
            since: Timestamp::UNIX_EPOCH,
            wanted,
            product: self.product.clone(),
            current: current.cloned(),
            shelved: false,
            stale,
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::AddFinalizer => self.finalized = true,
            Action::RemoveFinalizer => self.finalized = false,
            Action::MakeProduct(ProductParams {
                name,
                description,
                owner,
                since: _,
            }) => {
                self.product = Some(Product {
                    id: "prod_1".into(),
                    name,
                    description,
                    active: true,
                    owner: Some(owner),
                });
            }
            Action::UpdateProduct(
                id,
                ProductParams {
                    name,
                    description,
                    owner,
                    since: _,
                },
                active,
            ) => {
                self.product = Some(Product {
                    id,
                    name,
                    description,
                    active,
                    owner: Some(owner),
                });
            }
            Action::MakePrice(params) => {
                for price in &mut self.prices {
                    price.lookup_key.take_if(|key| *key == params.lookup_key);
                }
                self.prices.push(Price {
                    id: format!("price_{}", self.prices.len()),
                    product: params.product,
                    lookup_key: Some(params.lookup_key),
                    currency: params.currency,
                    amount: Some(params.amount),
                    interval: params.interval,
                    active: true,
                    owner: Some(params.owner),
                });
            }
            Action::SetPriceActive(id, active) => {
                self.prices.iter_mut().find(|p| p.id == id).unwrap().active = active;
            }
        }
    }

    /// Plans and acts until there is nothing left to do.
    fn converge(&mut self, wanted: Option<&Wanted>, deleting: bool) -> Next<Action> {
        for _ in 0..16 {
            let observed = self.observe(wanted.cloned(), deleting);
            let next = plan(&observed);
            let Next::Do(action) = next else {
                return next;
            };
            self.steps += 1;
            self.apply(action);
        }
        panic!("does not converge: {self:#?}");
    }

    fn active(&self) -> Vec<&Price> {
        self.prices.iter().filter(|p| p.active).collect()
    }
}

#[test]
fn nothing_external_is_made_before_the_finalizer_is_on() {
    let world = World::default();
    let observed = world.observe(Some(wanted(2900, by_key())), false);
    assert_eq!(plan(&observed), Next::Do(Action::AddFinalizer));
}

#[test]
fn another_amount_is_another_price_under_the_same_lookup_key() {
    let mut world = World::default();
    assert_eq!(
        world.converge(Some(&wanted(2900, by_key())), false),
        Next::Done
    );
    assert_eq!(
        world.converge(Some(&wanted(3900, by_key())), false),
        Next::Done
    );
    assert_eq!(world.prices.len(), 2);
    assert_eq!(world.active()[0].amount, Some(3900));
    assert_eq!(
        world.active()[0].lookup_key.as_deref(),
        Some("shop-starter")
    );
}

#[test]
fn a_second_pass_over_a_quiet_world_does_nothing() {
    let mut world = World::default();
    world.converge(Some(&wanted(2900, by_key())), false);
    let steps = world.steps;
    world.converge(Some(&wanted(2900, by_key())), false);
    assert_eq!(world.steps, steps);
}

#[test]
fn another_lookup_key_archives_the_price_under_the_former_one() {
    let mut world = World::default();
    world.converge(Some(&wanted(2900, by_key())), false);
    world.converge(Some(&wanted(2900, By::LookupKey("other".into()))), false);
    assert_eq!(world.active().len(), 1);
    assert_eq!(world.active()[0].lookup_key.as_deref(), Some("other"));
}

#[test]
fn a_lookup_key_in_use_by_somebody_else_is_left_to_them() {
    let mut world = World::default();
    world.converge(Some(&wanted(2900, by_key())), false);
    world.prices[0].owner = None;
    let steps = world.steps;
    let Next::Wait(blocker) = world.converge(Some(&wanted(2900, by_key())), false) else {
        panic!("it should wait");
    };
    assert_eq!((blocker.reason, world.steps), (reason::CONFLICT, steps));
    world.prices[0].active = false;
    assert_eq!(
        world.converge(Some(&wanted(2900, by_key())), false),
        Next::Done
    );
}

#[test]
fn a_price_made_by_hand_is_adopted_and_never_changed() {
    let mut world = World::default();
    world.converge(Some(&wanted(2900, by_key())), false);
    world.prices[0].owner = None;
    let (before, id) = (world.prices.clone(), world.prices[0].id.clone());
    let mut by_hand = World {
        prices: before.clone(),
        ..World::default()
    };
    let adopted = by_hand.converge(Some(&wanted(2900, By::PriceId(id.clone()))), false);
    assert_eq!((adopted, by_hand.steps), (Next::Done, 1), "a finalizer");
    let Next::Wait(blocker) = by_hand.converge(Some(&wanted(1, By::PriceId(id))), false) else {
        panic!("another amount should wait");
    };
    assert_eq!(blocker.reason, reason::PRICE_MISMATCH);
    assert!(
        blocker.message.contains("its amount is 2900"),
        "{}",
        blocker.message
    );
    assert_eq!(by_hand.prices, before);
    let Next::Wait(blocker) =
        by_hand.converge(Some(&wanted(1, By::PriceId("price_x".into()))), false)
    else {
        panic!("a price that is not there should wait");
    };
    assert_eq!(blocker.reason, reason::PRICE_NOT_FOUND);
}

#[test]
fn a_deleted_or_freed_tier_leaves_nothing_on_sale() {
    for (wanted_then, deleting) in [(Some(wanted(2900, by_key())), true), (None, false)] {
        let mut world = World::default();
        world.converge(Some(&wanted(2900, by_key())), false);
        assert_eq!(world.converge(wanted_then.as_ref(), deleting), Next::Done);
        assert_eq!(world.active(), Vec::<&Price>::new());
        let on_sale = world.product.as_ref().is_some_and(|product| product.active);
        assert!(!on_sale && world.finalized != deleting);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Want(i64),
    Free,
    ArchivePrices,
    RenameProduct,
    DescribeProduct(Option<String>),
    ArchiveProduct,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..4i64).prop_map(Event::Want),
        Just(Event::Free),
        Just(Event::ArchivePrices),
        Just(Event::RenameProduct),
        prop::option::of("[a-z]").prop_map(Event::DescribeProduct),
        Just(Event::ArchiveProduct),
    ]
}

proptest! {
    /// Whatever happened before, the same spec ends in the same offer: A → B → A equals A (CASE 18).
    #[test]
    fn a_spec_alone_decides_what_is_on_sale(events in prop::collection::vec(event(), 0..12)) {
        let mut world = World::default();
        for event in events {
            match event {
                Event::Want(amount) => {
                    world.converge(Some(&wanted(amount, by_key())), false);
                }
                Event::Free => {
                    world.converge(None, false);
                }
                Event::ArchivePrices => world.prices.iter_mut().for_each(|p| p.active = false),
                Event::RenameProduct => world.product.iter_mut().for_each(|p| p.name = "x".into()),
                Event::DescribeProduct(text) => {
                    world.product.iter_mut().for_each(|p| p.description.clone_from(&text));
                }
                Event::ArchiveProduct => world.product.iter_mut().for_each(|p| p.active = false),
            }
        }
        prop_assert_eq!(world.converge(Some(&wanted(2900, by_key())), false), Next::Done);
        let active = world.active();
        prop_assert_eq!(active.len(), 1);
        prop_assert_eq!((active[0].amount, active[0].interval), (Some(2900), Some(Interval::Month)));
        let product = world.product.as_ref().unwrap();
        prop_assert!(product.active && product.name == "Starter");
        prop_assert_eq!(product.description.as_deref(), Some("For a start"));
    }
}
