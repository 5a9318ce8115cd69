//! What the plan wants of a lane and has not got yet.

use crate::{Ctx, Order};
use droves_facts::{Operation, Outcome};
use serde::{Deserialize, Serialize};

/// A set of orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wanted(u8);

impl Wanted {
    /// The operations that can be ordered, in the order in which they are answered.
    pub(crate) const OPERATIONS: [Operation; 4] =
        [Operation::Enroll, Operation::Renew, Operation::CheckIn, Operation::Unenroll];

    fn bit(operation: Operation) -> u8 {
        match operation {
            Operation::Enroll => 1,
            Operation::Renew => 2,
            Operation::CheckIn => 4,
            Operation::Unenroll => 8,
            _ => 0,
        }
    }
    pub(crate) fn add(&mut self, operation: Operation) {
        self.0 |= Self::bit(operation);
    }
    /// Adds what an order wants done; orders of sisters tell a lane something, and want nothing.
    pub(crate) fn order(&mut self, order: Order) {
        match order {
            Order::Enroll => self.add(Operation::Enroll),
            Order::CheckIn => self.add(Operation::CheckIn),
            Order::Renew => self.add(Operation::Renew),
            Order::Unenroll => self.add(Operation::Unenroll),
            Order::MainEnded | Order::IdentityRenewed | Order::Shared | Order::Fetched(_) | Order::Pushed(_) => {}
        }
    }
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub(crate) fn has(self, operation: Operation) -> bool {
        self.0 & Self::bit(operation) != 0
    }
    /// Takes an order out of the set; whether it was in it.
    pub(crate) fn take(&mut self, operation: Operation) -> bool {
        let had = self.has(operation);
        self.0 &= !Self::bit(operation);
        had
    }
    /// An order is fulfilled, or given up, if it was given.
    pub(crate) fn ended(&mut self, operation: Operation, outcome: Outcome, ctx: &mut Ctx<'_>) {
        if self.take(operation) {
            ctx.ended(operation, outcome);
        }
    }
    /// Every order that is still open is given up.
    pub(crate) fn give_up(&mut self, outcome: Outcome, ctx: &mut Ctx<'_>) {
        for operation in Wanted::OPERATIONS {
            self.ended(operation, outcome, ctx);
        }
    }
}
