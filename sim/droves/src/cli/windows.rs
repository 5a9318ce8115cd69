//! The flags of `droves practice` that are about Windows.

use super::values::base_url;
use clap::Args;
use std::path::PathBuf;

/// What the practice server asks of Windows devices.
#[derive(Debug, Args)]
#[command(next_help_heading = "Windows")]
pub(crate) struct WindowsArgs {
    /// Port to listen on with TLS; 0 picks one.
    #[arg(long, env = "DROVES_WINDOWS_PORT", value_name = "PORT", default_value_t = 9_001)]
    pub(crate) windows_port: u16,
    /// What Windows devices are told to talk to, if a proxy stands in front: https://HOST:PORT, without a slash at its end.
    #[arg(long, env = "DROVES_WINDOWS_URL", value_name = "URL", value_parser = base_url)]
    pub(crate) windows_url: Option<String>,
    /// How devices prove who they are.
    #[arg(long, env = "DROVES_WINDOWS_AUTH", value_enum, default_value = "certificate")]
    pub(crate) windows_auth: WindowsAuth,
    /// Take credentials once for a whole session, as 212 says.
    #[arg(long, env = "DROVES_WINDOWS_ONCE")]
    pub(crate) windows_once: bool,
    /// Give each device another name and secret in its first session.
    #[arg(long, env = "DROVES_WINDOWS_REKEY")]
    pub(crate) windows_rekey: bool,
    /// The password of every user.
    #[arg(
        long,
        env = "DROVES_WINDOWS_PASSWORD",
        value_name = "TEXT",
        default_value = "secret",
        hide_env_values = true
    )]
    pub(crate) windows_password: String,
    /// Enroll by a login page (AuthPolicy Federated), and not by password.
    #[arg(long, env = "DROVES_WINDOWS_FEDERATED")]
    pub(crate) windows_federated: bool,
    /// Devices poll at this interval for ever, and not as Microsoft's documents recommend.
    #[arg(long, env = "DROVES_WINDOWS_POLL", value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) windows_poll: Option<u32>,
    /// Commands in one message.
    #[arg(long, env = "DROVES_WINDOWS_BATCH", value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) windows_batch: u32,
    /// The longest message that devices may send (MaxMsgSize).
    #[arg(long, env = "DROVES_WINDOWS_MESSAGE_MAX", value_name = "BYTES")]
    pub(crate) windows_message_max: Option<u64>,
    /// The package family name by which devices get a channel.
    #[arg(long, env = "DROVES_WINDOWS_PFN", value_name = "PFN")]
    pub(crate) windows_pfn: Option<String>,
    /// The push service to send notifications to.
    #[arg(long, env = "DROVES_WNS", value_name = "HOST:PORT", requires_all = ["wns_ca", "wns_sid", "wns_secret"])]
    pub(crate) wns: Option<std::net::SocketAddr>,
    /// The authority of that push service, PEM.
    #[arg(long, env = "DROVES_WNS_CA", value_name = "FILE")]
    pub(crate) wns_ca: Option<PathBuf>,
    /// The package's SID there.
    #[arg(long, env = "DROVES_WNS_SID", value_name = "SID")]
    pub(crate) wns_sid: Option<String>,
    /// The package's secret there.
    #[arg(long, env = "DROVES_WNS_SECRET", value_name = "TEXT", hide_env_values = true)]
    pub(crate) wns_secret: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum WindowsAuth {
    /// By the certificate that they enrolled with, in TLS.
    Certificate,
    /// By name and secret, with MD5 and a nonce.
    Md5,
    /// By name and secret in clear.
    Basic,
    /// By a signature over each message.
    Signed,
}
