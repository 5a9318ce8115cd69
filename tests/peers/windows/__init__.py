"""An independent Windows MDM peer, written only from protocol notes and public documents (see README.md)."""
