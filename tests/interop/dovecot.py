"""Dovecot's LMTP server in a scratch folder, on a TCP port and on a socket: a user `bob`, and nobody
else."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import free_port, wait_for_port

DOMAIN = "lmtp.test"

CONFIGURATION = """protocols = lmtp
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {owner}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
# An identical message would else be left out.
lmtp_save_to_detail_mailbox = no
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {socket} {{
    mode = 0666
  }}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""


class Dovecot:
    """The running server."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "run" / "lmtp-test"
        owner = pwd.getpwnam("dovecot")
        for name in ("run", "state", "mail", "home"):
            (folder / name).mkdir()
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        (folder / "users").write_text(
            f"bob@{DOMAIN}:{{PLAIN}}x:{owner.pw_uid}:{owner.pw_gid}::{folder}/home::\n")
        self.configuration = folder / "dovecot.conf"
        self.configuration.write_text(CONFIGURATION.format(
            folder=folder, port=self.port, socket=self.socket.name, owner="dovecot", group="dovecot"))

    def kept(self, user="bob"):
        """The messages of a user, with LF."""
        folder = self.folder / "mail" / user / "new"
        return [file.read_bytes() for file in sorted(folder.glob("*"))]

    def log(self):
        """What Dovecot logged."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""


@contextlib.contextmanager
def running():
    """A Dovecot that runs while the block does."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-dovecot-"))
    folder.chmod(0o755)
    try:
        server = Dovecot(folder)
        child = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(server.configuration)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            wait_for_port(server.port)
            yield server
        finally:
            child.terminate()
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
