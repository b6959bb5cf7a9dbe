"""A Postfix of our own in a scratch folder, with Cyrus SASL and its sasldb: LOGIN, PLAIN and NTLM
(which takes NTLMv2 and sends a CHALLENGE without target information). Every message is held."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import PASSWORD, certificates, free_port, run, wait_for_port

REALM = "peer.example"
USER = "alice"

MAIN = """compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = {realm}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
alias_maps =
alias_database =
maillog_file = {folder}/data/maillog
maillog_file_prefixes = {folder}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit
smtpd_peername_lookup = no
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {realm}
smtpd_sasl_security_options = noanonymous
cyrus_sasl_config_path = {folder}/etc/sasl
"""

MASTER = """127.0.0.1:{starttls} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_tls_auth_only=no
127.0.0.1:{implicit} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

SASL = """pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/etc/sasldb2
mech_list: PLAIN LOGIN NTLM
ntlm_v2: yes
"""


class Postfix:
    """The running server."""

    def __init__(self, folder):
        self.folder = folder
        self.starttls, self.implicit = free_port(), free_port()
        self.ca, cert, key = certificates(folder)
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "etc/sasl", "spool", "data"):
            (folder / name).mkdir()
        os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
        values = {"folder": folder, "realm": REALM, "cert": cert, "key": key,
                  "starttls": self.starttls, "implicit": self.implicit}
        for name, text in (("main.cf", MAIN), ("master.cf", MASTER), ("sasl/smtpd.conf", SASL)):
            (folder / "etc" / name).write_text(text.format(**values))
        (folder / "etc" / "dynamicmaps.cf").write_text("")
        database = folder / "etc" / "sasldb2"
        run("saslpasswd2", "-p", "-c", "-f", database, "-u", REALM, USER,
            input=PASSWORD.encode(), status=0)
        os.chown(database, owner.pw_uid, owner.pw_gid)

    def postfix(self, *arguments, **options):
        """The postfix command with this configuration."""
        return run("postfix", "-c", self.folder / "etc", *arguments, **options)

    def held(self):
        """The contents of the held messages, with LF."""
        contents = []
        for file in sorted((self.folder / "spool" / "hold").rglob("*")):
            if file.is_file():
                done = run("postcat", "-c", self.folder / "etc", "-h", "-b", "-q", file.name, status=0)
                contents.append(done.stdout)
        return contents

    def log(self):
        """What Postfix logged."""
        file = self.folder / "data" / "maillog"
        return file.read_text(errors="replace") if file.exists() else ""


@contextlib.contextmanager
def running():
    """A Postfix that runs while the block does."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-postfix-"))
    folder.chmod(0o755)
    server = None
    try:
        server = Postfix(folder)
        child = subprocess.Popen(["postfix", "-c", str(folder / "etc"), "start-fg"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            wait_for_port(server.starttls)
            wait_for_port(server.implicit)
            yield server
        finally:
            server.postfix("stop")
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
