//! The first message of a session (MS-MDM 3.1.5.1; OMA-TS-DM-Protocol 1.2, 8.3): why it is there, who is logged in, what
//! has happened, who the device is.

use super::outbox::{Outbox, Reply};
use crate::Ctx;
use crate::windows::hardware::Hardware;
use crate::windows::lane::Lane;
use crate::windows::record::{Reason, Stage};
use crate::windows::shared::Account;
use crate::windows::tree::{Alert, Login};
use crate::windows::who::Who;
use droves_wire::windows::syncml::{Body, Data, Item, Meta, Verb};

/// Puts it out.
pub(super) fn begin(outbox: &mut Outbox, lane: &mut Lane, who: &Who, account: &Account, ctx: &Ctx<'_>) {
    let code = match lane.record.reason {
        Reason::Client => 1201,
        Reason::Server => 1200,
    };
    outbox.push(Reply::Own(Body::Alert { code, items: Vec::new() }));
    let login = match who.login {
        Login::User => "user",
        Login::Others => "others",
        Login::None => "none",
    };
    outbox.push(alert(&Alert {
        code: 1224,
        source: None,
        kind: "com.microsoft/MDM/LoginStatus".into(),
        format: "".into(),
        mark: None,
        data: login.into(),
    }));
    if lane.record.stage == Stage::Leaving {
        outbox.push(alert(&Alert {
            code: 1226,
            source: None,
            kind: "com.microsoft:mdm.unenrollment.userrequest".into(),
            format: "int".into(),
            mark: None,
            data: "1".into(),
        }));
    } else {
        let scene = who.scene(&lane.own, lane.record.commands, account, ctx);
        for happened in lane.tree.settle(&scene) {
            outbox.push(alert(&happened));
        }
    }
    let hardware = Hardware::of(ctx);
    let id = source(who, account).to_owned();
    let info = [
        ("./DevInfo/DevId", id),
        ("./DevInfo/Man", hardware.maker().into()),
        ("./DevInfo/Mod", hardware.product().into()),
        ("./DevInfo/DmV", "1.3".into()),
        ("./DevInfo/Lang", hardware.locale().into()),
    ];
    let item = |(uri, data): (&'static str, String)| Item {
        source: Some(uri.into()),
        data: Some(Data::Text(data.into())),
        ..Item::default()
    };
    let items = info.into_iter().map(item).collect();
    outbox.push(Reply::Own(Body::Nodes { verb: Verb::Replace, meta: Meta::default(), items }));
}

/// What stands in `Source`: the id of the enrollment, or that of the hardware where the account wants it so.
pub(super) fn source<'a>(who: &'a Who, account: &Account) -> &'a str {
    if account.by_hardware_id { &who.hardware_id } else { &who.device_id }
}

fn alert(alert: &Alert) -> Reply {
    let text = |text: &str| Some(text.to_owned().into()).filter(|_| !text.is_empty());
    let meta = Meta {
        format: text(&alert.format),
        kind: text(&alert.kind),
        mark: alert.mark.as_deref().and_then(text),
        size: None,
    };
    let source = alert.source.as_deref().and_then(text);
    let item = Item { source, meta, data: Some(Data::Text(alert.data.to_string().into())), ..Item::default() };
    Reply::Own(Body::Alert { code: alert.code, items: vec![item] })
}
