//! The flags of `droves practice` that are about Android devices with an agent of their own.

use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the practice server is to agents.
#[derive(Debug, Args)]
#[command(next_help_heading = "Android agents")]
pub(crate) struct AgentsArgs {
    /// Port to listen on with MQTT; 0 picks one. (The real server's is 31000.)
    #[arg(long, env = "DROVES_MQTT_PORT", value_name = "PORT", default_value_t = 9_002)]
    pub(crate) mqtt_port: u16,
    /// The path below which the server is, without slashes; empty for none.
    #[arg(long, env = "DROVES_AGENT_PROJECT", value_name = "NAME", default_value = "hmdm")]
    pub(crate) agent_project: String,
    /// The secret that all devices share with the server.
    #[arg(
        long,
        env = "DROVES_AGENT_SECRET",
        value_name = "TEXT",
        default_value = droves_wire::android::headwind::sign::SECRET,
        hide_env_values = true
    )]
    pub(crate) agent_secret: String,
    /// Look at signatures (secure.enrollment).
    #[arg(long, env = "DROVES_AGENT_SIGNED")]
    pub(crate) agent_signed: bool,
    /// Know only devices that name a configuration when they enroll.
    #[arg(long, env = "DROVES_AGENT_STRICT")]
    pub(crate) agent_strict: bool,
    /// How long a poll is held (polling.timeout).
    #[arg(long, env = "DROVES_AGENT_POLL", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) agent_poll: Duration,
    /// Time between two messages to the broker, for the whole fleet (mqtt.message.delay).
    #[arg(long, env = "DROVES_MQTT_DELAY", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) mqtt_delay: Duration,
    /// Let a poll that ends take a later one's place in the registry with it, as the real server does.
    #[arg(long, env = "DROVES_AGENT_CARELESS")]
    pub(crate) agent_careless: bool,
    /// FCM, to wake devices by that have reported a registration token.
    #[arg(long, env = "DROVES_FCM", value_name = "HOST:PORT", requires_all = ["fcm_ca", "fcm_key"])]
    pub(crate) fcm: Option<SocketAddr>,
    /// The authority of that push service, PEM.
    #[arg(long, env = "DROVES_FCM_CA", value_name = "FILE")]
    pub(crate) fcm_ca: Option<PathBuf>,
    /// The key file of the service account that the server is there.
    #[arg(long, env = "DROVES_FCM_KEY", value_name = "FILE")]
    pub(crate) fcm_key: Option<PathBuf>,
}
