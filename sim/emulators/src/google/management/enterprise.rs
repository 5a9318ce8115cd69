//! Enterprises: signing up, and what an EMM sets of one. What a browser does at Google (an administrator who agrees) is one
//! request to our own address.

use super::super::lanes::About;
use super::super::page::{Sizes, page};
use super::super::pubsub::Data;
use super::{Asked, Enterprise, Management, Notification, Object, empty, text, without, without_empty};
use droves_wire::android::{Code, Status};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// A sign-up that was begun.
#[derive(Debug)]
pub(super) struct Signup {
    project: String,
    callback: String,
    token: String,
}

pub(super) const UPGRADE: &str = "ENTERPRISE_UPGRADE";
const OUTPUT_ONLY: [&str; 3] = ["enterpriseType", "managedGoogleDomainType", "managedGooglePlayAccountsEnterpriseType"];
const SIZES: Sizes = Sizes { default: 100, max: 100 };

impl Management {
    pub(super) fn create_signup_url(&mut self, asked: &Asked<'_>) -> Result<Value, Status> {
        let (project, callback) = (asked.query.need("projectId")?, asked.query.need("callbackUrl")?);
        check_project(project, asked)?;
        let (id, token) = (self.ids.token(26), self.ids.token(40));
        let signup = Signup { project: project.to_owned(), callback: callback.to_owned(), token };
        self.signups.insert(id.clone(), signup);
        Ok(json!({ "name": format!("signupUrls/{id}"), "url": format!("{}/signup/{id}", self.url) }))
    }

    /// The administrator agrees: where the browser is sent back to, with the token for [`Management::create_enterprise`].
    pub(crate) fn sign_up(&self, id: &str) -> Option<String> {
        let Signup { callback, token, .. } = self.signups.get(id)?;
        let mark = if callback.contains('?') { '&' } else { '?' };
        Some(format!("{callback}{mark}enterpriseToken={}", utf8_percent_encode(token, NON_ALPHANUMERIC)))
    }

    pub(super) fn create_enterprise(&mut self, asked: Asked<'_>) -> Result<Value, Status> {
        let query = asked.query;
        let project = query.need("projectId")?.to_owned();
        check_project(&project, &asked)?;
        let is_emms = query.get("agreementAccepted") == Some("true");
        if !is_emms {
            let (signup, token) = (query.need("signupUrlName")?, query.need("enterpriseToken")?);
            let id = signup.strip_prefix("signupUrls/").unwrap_or(signup);
            let known = self.signups.get(id).is_some_and(|signup| signup.token == token && signup.project == project);
            if !known {
                return Err(Status::bad_field("enterpriseToken", "not the token of this sign-up URL"));
            }
            self.signups.remove(id);
        }
        let id = format!("LC{}", self.ids.letters(8, b"0123456789abcdefghijklmnopqrstuvwxyz"));
        let mut body = asked.body;
        body.insert("name".to_owned(), format!("enterprises/{id}").into());
        body.insert("enterpriseType".to_owned(), "MANAGED_GOOGLE_PLAY_ACCOUNTS_ENTERPRISE".into());
        let managed = if is_emms { "EMM_MANAGED" } else { "CUSTOMER_MANAGED" };
        body.insert("managedGooglePlayAccountsEnterpriseType".to_owned(), managed.into());
        let enterprise = Enterprise { project, body: body.clone(), ..Enterprise::default() };
        greet(&enterprise, &mut self.notifications);
        self.enterprises.insert(id, enterprise);
        Ok(body.into())
    }

    pub(super) fn list_enterprises(&mut self, asked: &Asked<'_>) -> Result<Value, Status> {
        let project = asked.query.need("projectId")?;
        check_project(project, asked)?;
        let mine = self.enterprises.iter().filter(|(_, enterprise)| enterprise.project == project);
        let mine = mine.map(|(id, enterprise)| (id.clone(), &enterprise.body)).collect();
        page(&mine, asked.query, "enterprises", SIZES, |body: &&Object| {
            let shown = ["name", "enterpriseDisplayName"].into_iter();
            let shown = shown.filter_map(|field| Some((field.to_owned(), body.get(field)?.clone())));
            Value::Object(shown.collect())
        })
    }

    pub(super) fn patch_enterprise(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mask = asked.query.mask()?;
        let enterprise = self.enterprise(name, &asked)?;
        let mut body = enterprise.body.clone();
        match mask {
            Some(mask) => mask.apply(&mut body, &asked.body),
            None => body.extend(asked.body),
        }
        let own =
            OUTPUT_ONLY.iter().filter_map(|field| Some(((*field).to_owned(), enterprise.body.get(*field)?.clone())));
        body.extend(own);
        body.insert("name".to_owned(), name.into());
        without_empty(&mut body);
        let topic_before = text(&enterprise.body, "pubsubTopic").map(str::to_owned);
        enterprise.body = body.clone();
        if text(&body, "pubsubTopic") != topic_before.as_deref() {
            let mut greeting = Vec::new();
            greet(enterprise, &mut greeting);
            self.notifications.append(&mut greeting);
        }
        Ok(body.into())
    }

    pub(super) fn delete_enterprise(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        self.enterprise(name, asked)?;
        self.enterprises.remove(super::last(name));
        Ok(empty())
    }

    pub(super) fn upgrade_url(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        self.enterprise(name, asked)?;
        Ok(json!({ "url": format!("{}/upgrade/{}", self.url, super::last(name)) }))
    }

    /// The administrator upgrades to a managed Google domain; false if there is no such enterprise.
    pub(crate) fn upgrade(&mut self, id: &str) -> bool {
        let Some(enterprise) = self.enterprises.get_mut(id) else { return false };
        without(&mut enterprise.body, &OUTPUT_ONLY);
        enterprise.body.insert("enterpriseType".to_owned(), "MANAGED_GOOGLE_DOMAIN".into());
        enterprise.body.insert("managedGoogleDomainType".to_owned(), "TYPE_DOMAIN".into());
        let event = || json!({ "enterprise": enterprise.name(), "upgradeState": "UPGRADE_STATE_SUCCEEDED" });
        enterprise.tell(UPGRADE, About::NOBODY, event, &mut self.notifications);
        true
    }

    pub(super) fn create_web_token(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        super::need(&asked.body, "parentFrameUrl", 2_048)?;
        self.enterprise(name, &asked)?;
        let mut body = asked.body;
        body.insert("name".to_owned(), format!("{name}/webTokens/{}", self.ids.hex(16)).into());
        body.insert("value".to_owned(), self.ids.token(64).into());
        Ok(body.into())
    }
}

/// A topic that is new to an enterprise gets a message of its own, so that whoever set it sees that it works.
fn greet(enterprise: &Enterprise, to: &mut Vec<Notification>) {
    if let Some(topic) = text(&enterprise.body, "pubsubTopic").filter(|topic| !topic.is_empty()) {
        let (enterprise, topic) = (super::last(enterprise.name()).to_owned(), topic.to_owned());
        let (report_of, data, about) = (None, Data::Bytes(Vec::new()), About::NOBODY);
        to.push(Notification { enterprise, topic, kind: "test", report_of, data, about });
    }
}

fn check_project(project: &str, asked: &Asked<'_>) -> Result<(), Status> {
    if asked.project.is_none_or(|own| own == project) {
        return Ok(());
    }
    Err(Status::new(Code::PermissionDenied, format!("The caller has no permission for project {project}")))
}
