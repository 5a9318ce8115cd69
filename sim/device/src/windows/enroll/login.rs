//! The web page of a federated enrollment. It ends in a form for the enrollment client, whose hidden input `wresult` is
//! the token.
//!
//! A page that wants to be filled in by a human is out of reach: its server has to grant a token to whoever comes.

use super::{Proven, Terms, policy};
use crate::trouble::Trouble;
use crate::web::{join, percent_encoded, with_query};
use crate::windows::exchange::{Answer, Headers, Question};
use crate::windows::lane::Lane;
use crate::windows::who;
use crate::windows::{State, Step};
use crate::{Ctx, Event};
use droves_facts::{Blame, Operation};
use droves_wire::windows::soap::TokenKind;
use std::sync::Arc;

/// The page is being fetched.
#[derive(Debug)]
pub(in crate::windows) struct LoggingIn {
    terms: Terms,
    url: Arc<str>,
    hops: u8,
}

/// Opens the page.
pub(super) fn begin(lane: &mut Lane, terms: Terms, page: &str, ctx: &mut Ctx<'_>) -> Step {
    let (client, user) = (percent_encoded(CLIENT), percent_encoded(&who::user(ctx)));
    let url = with_query(page, &format!("appru={client}&login_hint={user}"));
    LoggingIn { terms, url, hops: 0 }.ask(lane, ctx)
}

impl LoggingIn {
    fn ask(self, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match Question::get(Operation::WindowsLogin, &self.url, HEADERS).ask(ctx) {
            Ok(action) => Step::to(State::LoggingIn(Box::new(self)), action),
            Err(trouble) => super::failed(lane, &trouble, ctx),
        }
    }

    pub(in crate::windows) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::WindowsLogin;
        let trouble = |kind, text: &str| Trouble::new(Blame::Server, kind, format!("{operation}: {text}"));
        let answer = match Answer::of(event, operation) {
            Ok(answer) => answer,
            Err(trouble) => return super::failed(lane, &trouble, ctx),
        };
        let token = match answer.status {
            301 | 302 | 303 | 307 | 308 if self.hops >= HOPS_MAX => Err(trouble("redirects", "too many redirects")),
            301 | 302 | 303 | 307 | 308 => match join(&self.url, &answer.location) {
                Some(url) => {
                    self.url = url.into();
                    self.hops += 1;
                    return self.ask(lane, ctx);
                }
                None => Err(trouble("redirect", "a redirect that leads nowhere")),
            },
            200 => hidden_input(&String::from_utf8_lossy(&answer.body), "wresult")
                .ok_or_else(|| trouble("login_page", "the page has no input named wresult: it grants no token")),
            _ => Err(answer.refusal(operation)),
        };
        match token {
            Ok(token) => {
                self.terms.proof = Proven::Token(TokenKind::User, token);
                policy::ask(lane, self.terms, ctx)
            }
            Err(trouble) => super::failed(lane, &trouble, ctx),
        }
    }
}

/// The value of the input of this name in a page. HTML is not XML: nothing of the page is read but this one tag.
fn hidden_input(page: &str, name: &str) -> Option<String> {
    page.split('<').skip(1).find_map(|tag| {
        let (element, attributes) = tag.split_once(|c: char| c.is_ascii_whitespace())?;
        let is_it = element.eq_ignore_ascii_case("input") && attribute(attributes, "name")? == name;
        attribute(attributes, "value").filter(|value| is_it && !value.is_empty())
    })
}

/// The value of an attribute, in whichever quotes it stands. Blanks stand between attributes.
fn attribute(mut attributes: &str, name: &str) -> Option<String> {
    loop {
        attributes = attributes.trim_ascii_start();
        let (found, rest) = attributes.split_once('=')?;
        // An attribute without a value may stand before the one that has the next sign of equality.
        let found = found.trim_ascii_end().rsplit(|c: char| c.is_ascii_whitespace()).next()?;
        let rest = rest.trim_ascii_start();
        let (value, rest) = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest.get(1..)?.split_once(quote)?,
            _ => rest.split_at(rest.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(rest.len())),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(unescaped(value));
        }
        attributes = rest;
    }
}

/// Without the entities that a form's value needs.
fn unescaped(value: &str) -> String {
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&apos;", "'")];
    let value = plain.into_iter().fold(value.to_owned(), |value, (entity, c)| value.replace(entity, c));
    value.replace("&amp;", "&")
}

/// Windows' own client, as a page's form finally calls it.
const CLIENT: &str = "ms-app://windows.immersivecontrolpanel";
/// A login page's redirects are a few.
const HOPS_MAX: u8 = 5;
const HEADERS: Headers = &[("accept", "text/html, application/xhtml+xml, */*")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_a_page() {
        let check = |page: &str, token: Option<&str>| {
            assert_eq!(hidden_input(page, "wresult").as_deref(), token, "{page}");
        };
        check(r#"<form><input type="hidden" name="wresult" value="a&amp;b&lt;c"/></form>"#, Some("a&b<c"));
        check("<INPUT VALUE='x=y' hidden NAME=wresult>", Some("x=y"));
        check("<html><input\n name = \"wresult\"\n value=\"t\">", Some("t"));
        check(r#"<input name="other" value="1"><input name="wresult" value="2">"#, Some("2"));
        check(r#"<input name="wresult" value="">"#, None);
        check(r#"<p name="wresult" value="1">"#, None);
        check("<input name=\"wresult", None);
        check("<input =", None);
        check("", None);
    }
}
