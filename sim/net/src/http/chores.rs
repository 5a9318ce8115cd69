//! hyper's HTTP/2 client wants to spawn futures of its own. Here they are kept beside the connection and polled with
//! it, so that a connection is one thing that can be dropped whole and needs no task.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;

type Chore = Pin<Box<dyn Future<Output = ()>>>;

/// Futures that live as long as their connection.
#[derive(Clone, Default)]
pub(super) struct Chores {
    new: Rc<RefCell<Vec<Chore>>>,
    running: Rc<RefCell<Vec<Chore>>>,
}

impl Chores {
    /// Polls all, also those that begin meanwhile.
    pub(super) fn poll(&self, cx: &mut Context<'_>) {
        let mut running = self.running.borrow_mut();
        running.retain_mut(|chore| chore.as_mut().poll(cx).is_pending());
        loop {
            // Taken out first: a chore that is polled may begin another.
            let fresh = std::mem::take(&mut *self.new.borrow_mut());
            if fresh.is_empty() {
                return;
            }
            for mut chore in fresh {
                if chore.as_mut().poll(cx).is_pending() {
                    running.push(chore);
                }
            }
        }
    }

    /// Ends all. They hold clones of this list (hyper clones its executor), so dropping it would not be enough.
    pub(super) fn end(&self) {
        let new = std::mem::take(&mut *self.new.borrow_mut());
        let running = self.running.try_borrow_mut().map(|mut r| std::mem::take(&mut *r));
        drop((new, running));
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Chores {
    fn execute(&self, future: F) {
        self.new.borrow_mut().push(Box::pin(future));
    }
}

impl fmt::Debug for Chores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chores").finish_non_exhaustive()
    }
}
