//! One at a time for a customer: two Subscriptions of one customer must not both begin to be paid for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name of a customer.
type Customer = (String, String);

/// The customers whose first payment is being arranged.
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<HashSet<Customer>>>);

/// A customer whose first payment only the holder arranges.
pub struct Seat {
    seats: Seats,
    customer: Customer,
}

impl Seats {
    /// The seat of this customer; none while somebody holds it.
    #[must_use]
    pub fn take(&self, namespace: &str, name: &str) -> Option<Seat> {
        let customer = (namespace.to_owned(), name.to_owned());
        self.taken().insert(customer.clone()).then(|| Seat {
            seats: self.clone(),
            customer,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<Customer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().remove(&self.customer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customers_seat_is_held_by_one_and_free_again_when_it_is_left() {
        let seats = Seats::default();
        let ada = seats.take("shop", "ada");
        assert!(ada.is_some());
        assert!(seats.take("shop", "ada").is_none());
        assert!(seats.take("shop", "bob").is_some());
        assert!(seats.take("other", "ada").is_some());
        drop(ada);
        assert!(seats.take("shop", "ada").is_some());
    }
}
