"""Certificates for a test run, made by openssl: an authority, servers, clients, and strangers."""

import subprocess


class Authority:
    def __init__(self, directory, name="authority"):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.certificate = directory / f"{name}.crt"
        self.key = directory / f"{name}.key"
        _openssl("req", "-new", "-x509", "-days", "2", "-nodes", *_KEY, "-subj", f"/CN={name}",
                 "-keyout", self.key, "-out", self.certificate)

    def issue(self, common_name, alternative=None, file=None):
        """(certificate, key) for a name; `alternative` as in subjectAltName, "DNS:db,IP:127.0.0.1"."""
        file = file or common_name
        certificate, key = self.directory / f"{file}.crt", self.directory / f"{file}.key"
        request, extension = self.directory / f"{file}.csr", self.directory / f"{file}.ext"
        _openssl("req", "-new", "-nodes", *_KEY, "-subj", f"/CN={common_name}", "-keyout", key,
                 "-out", request)
        extension.write_text(f"subjectAltName = {alternative}\n" if alternative else "\n")
        _openssl("x509", "-req", "-days", "2", "-in", request, "-CA", self.certificate,
                 "-CAkey", self.key, "-CAcreateserial", "-extfile", extension, "-out", certificate)
        key.chmod(0o600)
        return certificate, key


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
