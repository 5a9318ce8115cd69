//! The parameters of a request.

use droves_wire::android::{FieldMask, Fields, Status};
use droves_wire::form;
use std::borrow::Cow;

/// Parameters of a query; more are refused.
const PARAMETERS_MAX: usize = 100;

/// The parameters, decoded, in their order.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, Status> {
        let pairs: Vec<_> = form::pairs(text).take(PARAMETERS_MAX + 1).collect();
        if pairs.len() > PARAMETERS_MAX {
            return Err(Status::bad_field("query", "too many parameters"));
        }
        Ok(Query(pairs))
    }

    /// The first of that name, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// The first of that name; an error without one.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Status> {
        self.get(name).ok_or_else(|| Status::bad_field(name, "required"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i32>, Status> {
        let number = |text: &str| text.parse().map_err(|_| Status::bad_field(name, "not an int32"));
        self.get(name).map(number).transpose()
    }

    pub(crate) fn mask(&self) -> Result<Option<FieldMask>, Status> {
        let text = self.get("updateMask").unwrap_or_default();
        FieldMask::read(text).map_err(|error| Status::bad_field("updateMask", error.to_string()))
    }

    pub(crate) fn fields(&self) -> Result<Option<Fields>, Status> {
        let read = |text| Fields::read(text).map_err(|error| Status::bad_field("fields", error.to_string()));
        self.get("fields").map(read).transpose()
    }
}
