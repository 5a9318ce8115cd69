//! Atomic and Sequence: who is answered what, and what is left in the tree.

use super::*;

const A: &str = "./Vendor/MSFT/Policy/Config/Camera/A";
const B: &str = "./Vendor/MSFT/Policy/Config/Camera/B";
const GONE: &str = "./Vendor/MSFT/Policy/Config/Camera/Gone";

/// The codes of an Atomic, its own first, by the book and as the thread has them.
fn check(commands: &[Command<'static>], book: &[u16], thread: &[u16]) {
    for (atomic, expected) in [(Atomic::Book, book), (Atomic::Thread, thread)] {
        let mut bench = Bench { atomic, ..Bench::new() };
        assert_eq!(bench.code(add(B, "int", "1")), 200);
        let before = bench.tree.clone().fold();
        let executed = bench.run(&group(Group::Atomic, commands.to_vec()));
        let codes: Vec<_> = executed.said.iter().map(|said| said.code).collect();
        assert_eq!(codes, expected, "{atomic:?} {commands:?}");
        if expected[0] != 200 {
            assert_eq!(bench.tree.fold(), before);
            assert_eq!(executed.effects, []);
        }
    }
}

#[test]
fn an_atomic_is_done_whole_or_not_at_all() {
    check(&[add(A, "int", "1"), replace(B, "int", "2")], &[200, 200, 200], &[200, 200, 200]);
    check(&[], &[200], &[200]);
    check(&[add(A, "int", "1"), delete(GONE), replace(B, "int", "2")], &[507, 216, 404, 215], &[500, 200, 404, 215]);
    check(
        &[delete(B), exec("./Vendor/MSFT/Reboot/RebootNow", ""), add(GONE, "int", "x")],
        &[507, 216, 216, 415],
        &[500, 200, 200, 415],
    );
}

#[test]
fn what_an_atomic_may_not_hold_fails_it() {
    check(&[add(A, "int", "1"), get(B)], &[507, 216, 500], &[500, 200, 500]);
    let inner = group(Group::Atomic, vec![delete(B), add(A, "int", "1")]);
    check(&[delete(B), inner, add(A, "int", "1")], &[507, 216, 500, 215, 215, 215], &[500, 200, 500, 215, 215, 215]);
    check(&[add(A, "int", "1"), replace(A, "int", "2")], &[507, 216, 500], &[500, 200, 500]);
    let nameless = Command { id: "".into(), ..delete(B) };
    check(&[nameless, delete(B)], &[507, 400, 215], &[500, 400, 215]);
    let unknown = Command { id: "5".into(), body: Body::Unknown("Sync".into()) };
    check(&[unknown, delete(B)], &[507, 400, 215], &[500, 400, 215]);
}

#[test]
fn scopes_that_are_mixed_before_the_user_is_there_fail_together() {
    let mut bench = Bench { login: Login::None, ..Bench::new() };
    let users = "./User/Vendor/MSFT/Policy/Config/Camera/A";
    let executed = bench.run(&group(Group::Atomic, vec![add(A, "int", "1"), add(users, "int", "1")]));
    let codes: Vec<_> = executed.said.iter().map(|said| said.code).collect();
    assert_eq!(codes, [507, 216, 500]);
    assert_eq!(bench.code(get(A)), 404);
}

#[test]
fn a_sequence_goes_on_whatever_fails() {
    let mut bench = Bench::new();
    let inner = group(Group::Atomic, vec![add(B, "int", "1")]);
    let commands = vec![delete(GONE), add(A, "int", "1"), get(A), inner];
    let executed = bench.run(&group(Group::Sequence, commands));
    let said: Vec<_> = executed.said.iter().map(|said| (&*said.name, said.code)).collect();
    let expected = [("Sequence", 200), ("Delete", 404), ("Add", 200), ("Get", 200), ("Atomic", 200), ("Add", 200)];
    assert_eq!(said, expected);
    assert_eq!(&*executed.said[3].found[0].value, "1");
}

#[test]
fn a_group_without_an_id_is_not_begun() {
    let mut bench = Bench::new();
    for kind in [Group::Atomic, Group::Sequence] {
        let nameless = Command { id: "".into(), ..group(kind, vec![add(A, "int", "1")]) };
        let codes: Vec<_> = bench.run(&nameless).said.iter().map(|said| said.code).collect();
        assert_eq!(codes, [400, 215]);
    }
    assert_eq!(bench.code(get(A)), 404);
}
