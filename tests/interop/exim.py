"""An Exim of our own in a scratch folder: LOGIN, PLAIN, and NTLM by its `spa`, which knows NTLMv1
alone. Debian's Exim cannot be installed beside Postfix, so `tests/run` unpacks it into tests/.exim."""

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import PASSWORD, certificates, free_port, wait_for_port

USER = "alice"
PROGRAM = pathlib.Path(__file__).resolve().parents[1] / ".exim" / "usr" / "sbin" / "exim4"

CONFIGURATION = """primary_hostname = exim.test
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {starttls} : {implicit}
tls_on_connect_ports = {implicit}
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = recipient

begin acl
recipient:
  deny message = nobody of that name
       local_parts = nobody
  accept authenticated = *
  deny message = not without authentication

begin routers
all:
  driver = accept
  transport = file

begin transports
file:
  driver = appendfile
  file = {folder}/mail/$message_exim_id
  user = {owner}
  message_prefix =
  message_suffix =
  check_string =
  escape_string =

begin authenticators
spa:
  driver = spa
  public_name = NTLM
  server_password = {password}

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and {{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""


class Exim:
    """The running server."""

    def __init__(self, folder):
        self.folder = folder
        self.starttls, self.implicit = free_port(), free_port()
        self.ca, cert, key = certificates(folder)
        owner = pwd.getpwnam("Debian-exim")
        for name in ("spool", "log", "mail"):
            (folder / name).mkdir()
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        # Exim reads the key when it is no longer root.
        os.chown(key, owner.pw_uid, owner.pw_gid)
        self.configuration = folder / "exim.conf"
        self.configuration.write_text(CONFIGURATION.format(
            folder=folder, program=PROGRAM, cert=cert, key=key, user=USER, password=PASSWORD,
            starttls=self.starttls, implicit=self.implicit, owner=owner.pw_name))

    def kept(self):
        """The messages, with LF."""
        return [file.read_bytes() for file in sorted((self.folder / "mail").iterdir())]

    def log(self):
        """What Exim logged."""
        return "".join(file.read_text(errors="replace") for file in (self.folder / "log").iterdir())


@contextlib.contextmanager
def running():
    """An Exim that runs while the block does."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pillarbox-exim-"))
    folder.chmod(0o755)
    try:
        server = Exim(folder)
        child = subprocess.Popen([str(PROGRAM), "-C", str(server.configuration), "-bdf", "-q1h"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            wait_for_port(server.starttls)
            wait_for_port(server.implicit)
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
