//! Topics and the filters that they match (MQTT 3.1.1, section 4.7), and who has subscribed to which.

use mqtt_protocol_core::mqtt::packet::Qos;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Whether something can be published there.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether this can be subscribed to: a wildcard is a whole level, and `#` the last one.
pub(super) fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut is_good = !filter.is_empty() && !filter.contains('\0');
    while let Some(level) = levels.next() {
        let is_whole = level.len() == 1 || !level.contains(['+', '#']);
        is_good &= is_whole && (level != "#" || levels.peek().is_none());
    }
    is_good
}

/// Whether a topic is one of those that a filter names. Wildcards at the beginning are not about `$SYS` and its like.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        match (level, topics.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

/// Subscriptions by what they are about. Most name one topic, and are found without looking at the others.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    exact: HashMap<String, BTreeMap<Arc<str>, Qos>>,
    wild: BTreeMap<(Arc<str>, String), Qos>,
}

impl Subscriptions {
    /// A second one to the same filter takes the place of the first.
    pub(super) fn add(&mut self, client: &Arc<str>, filter: &str, qos: Qos) {
        if is_topic(filter) {
            self.exact.entry(filter.to_owned()).or_default().insert(Arc::clone(client), qos);
        } else {
            self.wild.insert((Arc::clone(client), filter.to_owned()), qos);
        }
    }

    pub(super) fn remove(&mut self, client: &Arc<str>, filter: &str) {
        self.wild.remove(&(Arc::clone(client), filter.to_owned()));
        if let Some(clients) = self.exact.get_mut(filter) {
            clients.remove(client);
            if clients.is_empty() {
                self.exact.remove(filter);
            }
        }
    }

    /// Who gets what is published there, and how well: each once, by the best of the subscriptions that match.
    pub(super) fn of(&self, topic: &str) -> BTreeMap<Arc<str>, Qos> {
        let mut all = self.exact.get(topic).cloned().unwrap_or_default();
        for ((client, _), &qos) in self.wild.iter().filter(|((_, filter), _)| matches(filter, topic)) {
            let best = all.entry(Arc::clone(client)).or_insert(qos);
            *best = if *best as u8 >= qos as u8 { *best } else { qos };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_has_it() {
        for (filter, topic, is_match) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/#", "sport", true),
            ("#", "sport/tennis", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/x", true),
            ("d1", "d1", true),
            ("d1", "D1", false),
        ] {
            assert_eq!(matches(filter, topic), is_match, "{filter} {topic}");
            assert!(is_filter(filter));
        }
        for wrong in ["", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "a\0"] {
            assert!(!is_filter(wrong), "{wrong}");
        }
        for wrong in ["", "a/+", "#", "a\0"] {
            assert!(!is_topic(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_best_of_all_that_match_counts_once() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(&a, "x/y", Qos::AtMostOnce);
        subscriptions.add(&a, "x/#", Qos::ExactlyOnce);
        subscriptions.add(&a, "+/y", Qos::AtLeastOnce);
        subscriptions.add(&b, "x/y", Qos::AtLeastOnce);
        let of = |subscriptions: &Subscriptions| subscriptions.of("x/y").into_values().collect::<Vec<_>>();
        assert_eq!(of(&subscriptions), [Qos::ExactlyOnce, Qos::AtLeastOnce]);
        subscriptions.remove(&a, "x/#");
        subscriptions.remove(&b, "x/y");
        assert_eq!(of(&subscriptions), [Qos::AtLeastOnce]);
        for filter in ["x/y", "+/y", "never"] {
            subscriptions.remove(&a, filter);
        }
        assert!(subscriptions.exact.is_empty() && subscriptions.wild.is_empty());
    }
}
