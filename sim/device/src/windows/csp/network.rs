//! Networks: WiFi, VPNv2, Firewall.

use super::{Call, Effect, Node, Place, Scene, Tree, Value};
use droves_wire::windows::syncml::Format::{Bool, Chr, Int};
use droves_wire::windows::values;

pub(super) static WIFI: &[Node] = &[
    Node { value: Value::Rewritten(wlan), ..Node::free("Profile/*/WlanXml") }.runs(is_profile),
    Node::kept("Profile/*/Proxy", Chr),
    Node::kept("Profile/*/ProxyPacUrl", Chr),
    Node::kept("Profile/*/ProxyWPAD", Bool),
    Node::kept("Profile/*/WiFiCost", Int),
    Node::kept("Profile/*/HideProfile", Bool),
    Node::kept("Profile/*/DisableInternetConnectivityChecks", Bool),
];

/// Profiles have a hundred nodes, all of which the server sets.
pub(super) static VPN: &[Node] = &[Node::free("*/**")];

/// The nodes of one of the firewall's three profiles.
macro_rules! profiles {
    ($($name:literal)*) => {
        &[
            $(
                Node::setting(concat!("MdmStore/", $name, "/EnableFirewall"), Bool, "true"),
                Node::setting(concat!("MdmStore/", $name, "/EnableLogDroppedPackets"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/EnableLogSuccessConnections"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/EnableLogIgnoredRules"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/LogMaxFileSize"), Int, "1024"),
                Node::setting(concat!("MdmStore/", $name, "/DisableStealthMode"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/Shielded"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/DisableUnicastResponsesToMulticastBroadcast"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/DisableInboundNotifications"), Bool, "false"),
                Node::setting(concat!("MdmStore/", $name, "/AuthAppsAllowUserPrefMerge"), Bool, "true"),
                Node::setting(concat!("MdmStore/", $name, "/GlobalPortsAllowUserPrefMerge"), Bool, "true"),
                Node::setting(concat!("MdmStore/", $name, "/AllowLocalPolicyMerge"), Bool, "true"),
                Node::setting(concat!("MdmStore/", $name, "/AllowLocalIpsecPolicyMerge"), Bool, "true"),
                Node::setting(concat!("MdmStore/", $name, "/DefaultOutboundAction"), Int, "0"),
                Node::setting(concat!("MdmStore/", $name, "/DefaultInboundAction"), Int, "1"),
            )*
            Node::fixed("MdmStore/Global/PolicyVersionSupported", Int, "545"),
            Node::fixed("MdmStore/Global/BinaryVersionSupported", Int, "542"),
            // 2: a private network.
            Node::fixed("MdmStore/Global/CurrentProfiles", Int, "2"),
            Node::setting("MdmStore/Global/DisableStatefulFtp", Bool, "false"),
            Node::setting("MdmStore/Global/SaIdleTime", Int, "300"),
            Node::setting("MdmStore/Global/PresharedKeyEncoding", Int, "1"),
            Node::setting("MdmStore/Global/IPsecExempt", Int, "0"),
            Node::setting("MdmStore/Global/CRLcheck", Int, "0"),
            Node::setting("MdmStore/Global/EnablePacketQueue", Int, "0"),
            Node::setting("MdmStore/Global/OpportunisticallyMatchAuthSetPerKM", Bool, "false"),
            Node::free("MdmStore/FirewallRules/*/**"),
            Node::free("MdmStore/HyperVFirewallRules/*/**"),
            Node::free("MdmStore/HyperVVMSettings/*/**"),
            Node::free("MdmStore/DynamicKeywords/Addresses/*/**"),
        ]
    };
}

pub(super) static FIREWALL: &[Node] = profiles!("DomainProfile" "PrivateProfile" "PublicProfile");

/// The profile as the system writes it.
fn wlan(place: &Place<'_>, set: &str, scene: &Scene<'_>) -> String {
    let ssid = place.names.iter().rev().nth(1).map_or("", |ssid| ssid);
    let protection = values::wlan_protection(set, scene.ctx.limits);
    values::wlan(ssid, protection.as_deref().unwrap_or("open"))
}

/// What is no profile is refused.
fn is_profile(_: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if values::wlan_protection(call.data, scene.ctx.limits).is_some() { 200 } else { 500 }
}
