//! The request that the running code answers.
//!
//! While the layer's future is polled, the thread knows that it is inside; only a handler that asks makes something
//! to be shared, so that a request whose handler does not ask pays two words of thread-local memory.

use std::{
    cell::Cell,
    mem::{self, ManuallyDrop},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    calls::{Call, Calls},
    errors::ErrorClass,
};

/// A handler's say in how its request is recorded. Cloning is cheap, and clones speak of the same request.
///
/// What is said counts until the end of the answer's body. With axum it is an extractor, which never fails: outside
/// of a [`RequestsLayer`](super::RequestsLayer) nothing comes of what it is told.
#[derive(Clone, Debug, Default)]
pub struct CurrentRequest(Arc<Mutex<Said>>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub(super) route: Option<&'static str>,
    pub(super) class: Option<ErrorClass>,
}

impl CurrentRequest {
    /// That of the code that runs; `None` outside of a request.
    pub fn get() -> Option<Self> {
        PLACE.with(|place| {
            let mut inside = place.take();
            let current = match &mut *inside {
                Inside::Nothing => None,
                Inside::Request(current) => Some(current.get_or_insert_default().clone()),
            };
            place.set(inside);
            current
        })
    }

    /// Names the route, in place of the template that matched.
    pub fn route(&self, route: &'static str) {
        self.said().route = Some(route);
    }

    /// The request failed, whatever status it is answered with: `class` is the label `status`, and `error_class`.
    pub fn failed(&self, class: ErrorClass) {
        self.said().class = Some(class);
    }

    /// Begins a part of the request that is to be measured by itself, as a call of the function `name`, one of a few
    /// texts. Looks the name up.
    pub fn part(&self, name: &str) -> Call {
        Calls::global().function(name).call()
    }

    pub(super) fn what(&self) -> Said {
        *self.said()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    // Without a destructor, so that reading it is a plain load: whoever entered takes back what it put there.
    static PLACE: Cell<ManuallyDrop<Inside>> = const { Cell::new(ManuallyDrop::new(Inside::Nothing)) };
}

/// What the thread is inside of.
#[derive(Default)]
enum Inside {
    #[default]
    Nothing,
    /// A request, and what was made of it for whoever asked.
    Request(Option<CurrentRequest>),
}

/// Says that the thread is inside of a request while this lives.
pub(super) struct Place<'a> {
    current: &'a mut Option<CurrentRequest>,
    before: Inside,
}

impl<'a> Place<'a> {
    pub(super) fn enter(current: &'a mut Option<CurrentRequest>) -> Self {
        let inside = Inside::Request(current.take());
        Self { current, before: replace(inside) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Inside::Request(current) = replace(mem::take(&mut self.before)) {
            *self.current = current;
        }
    }
}

fn replace(inside: Inside) -> Inside {
    PLACE.with(|place| ManuallyDrop::into_inner(place.replace(ManuallyDrop::new(inside))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_nest() {
        assert!(CurrentRequest::get().is_none());
        let (mut outer, mut inner) = (None, None);
        {
            let _outer = Place::enter(&mut outer);
            {
                let _inner = Place::enter(&mut inner);
                CurrentRequest::get().unwrap().route("inner");
            }
            CurrentRequest::get().unwrap().route("outer");
            let unwound = std::panic::catch_unwind(|| {
                let mut lost = None;
                let _lost = Place::enter(&mut lost);
                panic!("as a handler would");
            });
            assert!(unwound.is_err());
            CurrentRequest::get().unwrap().failed(ErrorClass::Timeout);
        }
        assert!(CurrentRequest::get().is_none());
        let outer = outer.unwrap().what();
        assert_eq!((outer.route, outer.class), (Some("outer"), Some(ErrorClass::Timeout)));
        assert_eq!(inner.unwrap().what().route, Some("inner"));
    }
}
