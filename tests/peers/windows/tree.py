"""The device's management tree: nodes with state, access and format, and the commands on them.

Answers follow W 5.3 (table of codes, Atomic rules, Get of interior nodes) and 8 (CSPs).
"""

import copy
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from . import syncml
from .xmlutil import decode_base64

LEAF_FORMATS = ("chr", "int", "bool", "b64", "bin", "float", "date", "time", "null", "xml")
# Below these the server may add what it likes (W 8); "policy" areas also take Replace of a new node.
DYNAMIC = ("policy/config", "policy/configoperations/admxinstall", "wifi/profile", "vpnv2",
           "rootcatrustedcertificates", "clientcertificateinstall/pfxcertinstall",
           "enterprisedesktopappmanagement/msi", "firewall/mdmstore", "nodecache",
           "declaredconfiguration/host/complete/documents", "declaredconfiguration/host/inventory/documents")
IMPLICIT_REPLACE = ("policy/config",)


@dataclass
class Node:
    """A node: `name` as written; `value` None for an interior node."""

    name: str
    value: str = None
    format: str = "node"
    write: bool = False      # Replace
    remove: bool = False     # Delete
    execute: bool = False    # Exec


class Refused(Exception):
    """A command that fails with a status code."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Tree:
    """Nodes by key (syncml.node_key with decoded segments)."""

    def __init__(self, logged_in: bool = True):
        self.nodes = {}
        self.logged_in = logged_in

    def put(self, uri: str, value=None, kind: str = "chr", write=False, remove=False, execute=False):
        """Create or overwrite a node and the interior nodes above it (set-up and CSP side effects)."""
        segments = _segments(uri)
        for depth in range(1, len(segments)):
            self.nodes.setdefault(_key(segments[:depth]), Node(segments[depth - 1]))
        kind = "node" if value is None and not execute else kind
        self.nodes[_key(segments)] = Node(segments[-1], value, kind, write, remove, execute)

    def value(self, uri: str):
        """The value at a URI, or None."""
        node = self.nodes.get(_key(_segments(uri)))
        return None if node is None else node.value

    def as_dict(self) -> dict:
        """{key: value} of the leaves, for reports and state files."""
        return {k: n.value for k, n in sorted(self.nodes.items()) if n.value is not None}

    # -------------------------------------------------- the commands

    def get(self, uri: str):
        """(format, data): a leaf's value, or the URI-encoded child names joined by "/" (W 5.3)."""
        key = self._address(uri)
        node = self.nodes.get(key)
        if node is None:
            raise Refused(404)
        if node.value is not None:
            return node.format, node.value
        if node.execute:
            raise Refused(405)
        depth = key.count("/") + 1 if key else 0
        names = [n.name for k, n in self.nodes.items()
                 if (k.startswith(key + "/") or not key) and k.count("/") == depth]
        return "node", "/".join(quote(n, safe="") for n in names)

    def add(self, uri: str, data, kind: str):
        """Add: 418 when it exists, 404 outside the places where a server may add."""
        key = self._address(uri)
        if key in self.nodes:
            raise Refused(418)
        if not _under(key, DYNAMIC):
            raise Refused(404)
        self._write(uri, data, kind)

    def replace(self, uri: str, data, kind: str):
        """Replace: 405 read-only or below a parent that was never added, 404 missing, 415 wrong format."""
        key = self._address(uri)
        node = self.nodes.get(key)
        if node is None:
            if _under(key, IMPLICIT_REPLACE):
                self._write(uri, data, kind)
                return
            parent = key.rpartition("/")[0]
            raise Refused(404 if parent in self.nodes and not _under(key, DYNAMIC) else 405)
        if not node.write or node.value is None:
            raise Refused(405)
        if kind != node.format or not _fits(kind, data):
            raise Refused(415)
        node.value = data or ""

    def delete(self, uri: str):
        """Delete a node and its subtree: 404 missing, 405 permanent."""
        key = self._address(uri)
        node = self.nodes.get(key)
        if node is None:
            raise Refused(404)
        if not node.remove:
            raise Refused(405)
        for inner in [k for k in self.nodes if k == key or k.startswith(key + "/")]:
            del self.nodes[inner]

    def execute(self, uri: str) -> str:
        """Exec: the node's key; 404 missing, 405 not executable."""
        key = self._address(uri)
        node = self.nodes.get(key)
        if node is None:
            raise Refused(404)
        if not node.execute:
            raise Refused(405)
        return key

    def snapshot(self) -> dict:
        """A copy for an Atomic's roll-back."""
        return copy.deepcopy(self.nodes)

    def restore(self, nodes: dict):
        """Roll back."""
        self.nodes = nodes

    # -------------------------------------------------- inside

    def _address(self, uri: str) -> str:
        """The key of a URI, after the rules for addresses: 400 malformed, 406 a property, 405/500 user scope."""
        if uri.startswith("/") or "//" in uri or ".." in uri.split("/") or "*" in uri.split("/"):
            raise Refused(400)
        if "?" in uri:
            raise Refused(406)
        key = _key(_segments(uri))
        if (key == "user" or key.startswith("user/")) and not self.logged_in:
            # The user-scope DMClient node does not exist before the profile is loaded: 405; others 500.
            raise Refused(405 if "/dmclient/" in key else 500)
        return key

    def _write(self, uri: str, data, kind: str):
        if kind == "node" or data is None and kind == "chr":
            self.put(uri, None, "node", remove=True)
        elif kind not in LEAF_FORMATS or not _fits(kind, data):
            raise Refused(415)
        else:
            self.put(uri, data or "", kind, write=True, remove=True)
        segments = _segments(uri)
        for depth in range(1, len(segments)):   # implicit Add of the parents: they can be deleted again
            key = _key(segments[:depth])
            if any(key.endswith("/" + d) or key == d for d in DYNAMIC):
                continue
            if _under(key, DYNAMIC):
                self.nodes[key].remove = True
        if _under(_key(segments), ("enterprisedesktopappmanagement/msi",)) and segments[-1].lower() == "downloadinstall":
            self.nodes[_key(segments)].execute = True


def _segments(uri: str) -> list:
    """The decoded segments of a URI without "./" and without the device prefix."""
    path = uri.strip()
    path = path[2:] if path.startswith("./") else path
    parts = [unquote(p) for p in path.rstrip("/").split("/") if p not in ("", ".")]
    return parts[1:] if parts and parts[0].lower() == "device" else parts


def _key(segments) -> str:
    return "/".join(quote(s, safe=" {}") for s in segments).lower()


def _under(key: str, areas) -> bool:
    return any(re.match(r"(user/)?vendor/msft/%s/" % re.escape(area), key) for area in areas)


def _fits(kind: str, data) -> bool:
    value = (data or "").strip()
    if kind == "int":
        return re.fullmatch(r"[+-]?\d+", value) is not None
    if kind == "bool":
        return value.lower() in ("true", "false")
    if kind == "b64":
        try:
            return not value or bool(decode_base64(value))
        except ValueError:
            return False
    return True


def windows_tree(identity: dict, provider: str, poll: dict, logged_in: bool = True) -> Tree:
    """A tree with the nodes that servers ask first, with real-looking values (W 8)."""
    tree = Tree(logged_in)
    for name, value in (("DevId", identity["source"]), ("Man", "Peer Inc."), ("Mod", "Virtual PC"),
                        ("DmV", "1.3"), ("Lang", identity["locale"])):
        tree.put("./DevInfo/" + name, value)
    detail = {
        "SwV": identity["os_version"], "HwV": "Hyper-V UEFI Release v4.1", "FwV": "4.1", "OEM": "Peer Inc.",
        "DevTyp": "VirtualMachine", "LrgObj": "true", "Ext/Microsoft/DeviceName": identity["device_name"],
        "Ext/Microsoft/DNSComputerName": identity["device_name"], "Ext/Microsoft/OSPlatform": "Windows 11 Enterprise",
        "Ext/Microsoft/SMBIOSSerialNumber": identity["hwdev_id"][:16], "Ext/Microsoft/LocalTime": "2026-11-29T12:00:00Z",
        "Ext/WLANMACAddress": identity["mac"].replace("-", ""),
        "Ext/DeviceHardwareData": "T0" + identity["hwdev_id"] * 62 + "==",
    }
    for name, value in detail.items():
        tree.put("./DevDetail/" + name, value, "bool" if name == "LrgObj" else "chr")
    for name, value in (("ProcessorType", "9"), ("TotalRAM", "8192"), ("TotalStorage", "131072")):
        tree.put("./DevDetail/Ext/Microsoft/" + name, value, "int")
    base = "./Device/Vendor/MSFT/DMClient/Provider/" + quote(provider, safe="")
    for name, value in poll.items():
        tree.put("%s/Poll/%s" % (base, name), str(value), "bool" if str(value).lower() in ("true", "false") else "int",
                 write=True)
    for name, value in (("EntDMID", identity["device_id"]), ("HWDevID", identity["hwdev_id"])):
        tree.put("%s/%s" % (base, name), value)
    tree.put(base + "/EntDeviceName", identity["device_name"], write=True)
    tree.put(base + "/UPN", identity["upn"], write=True)
    tree.put(base + "/SyncApplicationVersion", "1.0", write=True)
    tree.put(base + "/NumberOfDaysAfterLostContactToUnenroll", "0", "int", write=True)
    tree.put(base + "/Push/PFN", "", write=True)
    tree.put(base + "/Push/ChannelURI", "")
    tree.put(base + "/Push/Status", "4", "int")
    tree.put(base + "/Unenroll", execute=True)
    tree.put("./Device/Vendor/MSFT/DMClient/Unenroll", execute=True)
    tree.put("./User/Vendor/MSFT/DMClient/Provider/%s/FirstSyncStatus/IsSyncDone" % quote(provider, safe=""), "false",
             "bool", write=True)
    account = "./SyncML/DMAcc/" + quote(provider, safe="") + "/AppAuth/CLCRED"
    tree.put(account + "/AAuthName", identity.get("auth_name", ""), write=True)
    tree.put(account + "/AAuthSecret", identity.get("auth_secret", ""), write=True)
    root = "./Device/Vendor/MSFT/"
    for area in DYNAMIC:
        tree.put(root + _AREA_NAMES.get(area, area))
    tree.put(root + "Policy/Result")
    tree.put(root + "BitLocker/RequireDeviceEncryption", "0", "int", write=True)
    tree.put(root + "BitLocker/AllowWarningForOtherDiskEncryption", "1", "int", write=True)
    tree.put(root + "BitLocker/Status/DeviceEncryptionStatus", "0", "int")
    tree.put(root + "BitLocker/RotateRecoveryPasswords", execute=True)
    tree.put(root + "Defender/Health/DefenderEnabled", "true", "bool")
    tree.put(root + "Defender/Health/SignatureOutOfDate", "false", "bool")
    tree.put(root + "Defender/Scan", execute=True)
    tree.put(root + "Defender/UpdateSignature", execute=True)
    tree.put(root + "Reboot/RebootNow", execute=True)
    tree.put(root + "RemoteWipe/doWipe", execute=True)
    tree.put(root + "RemoteWipe/doWipeProtected", execute=True)
    tree.put(root + "DeviceStatus/SecureBootState", "1", "int")
    tree.put(root + "DeviceManageability/Capabilities/CSPVersions", _csp_versions())
    return tree


_AREA_NAMES = {
    "policy/config": "Policy/Config", "policy/configoperations/admxinstall": "Policy/ConfigOperations/ADMXInstall",
    "wifi/profile": "WiFi/Profile", "vpnv2": "VPNv2", "rootcatrustedcertificates": "RootCATrustedCertificates",
    "clientcertificateinstall/pfxcertinstall": "ClientCertificateInstall/PFXCertInstall",
    "enterprisedesktopappmanagement/msi": "EnterpriseDesktopAppManagement/MSI",
    "firewall/mdmstore": "Firewall/MdmStore", "nodecache": "NodeCache",
    "declaredconfiguration/host/complete/documents": "DeclaredConfiguration/Host/Complete/Documents",
    "declaredconfiguration/host/inventory/documents": "DeclaredConfiguration/Host/Inventory/Documents",
}


def _csp_versions() -> str:
    """About 12 kB of text, as the real inventory has (W 5.4)."""
    entries = "".join('<CSP Node="./Vendor/MSFT/Csp%03d" Version="1.%d"/>' % (n, n % 7) for n in range(240))
    return "<DeviceManageability><Capabilities>%s</Capabilities></DeviceManageability>" % entries


def command_format(command: syncml.Command, item: syncml.Item) -> str:
    """The format a server's item states; chr when silent (OMA Meta default)."""
    return command.item_meta(item).get("Format", "chr") or "chr"
