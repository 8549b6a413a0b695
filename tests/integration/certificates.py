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

    def revoke(self, path, *certificates):
        """Writes a list of those that hold no longer."""
        index, config = self.directory / "index.txt", self.directory / "ca.conf"
        serials = [_openssl("x509", "-noout", "-serial", "-in", one).strip().split("=")[1]
                   for one in certificates]
        index.write_text("".join(f"R\t491231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=revoked\n"
                                 for serial in serials))
        config.write_text("[ca]\ndefault_ca = own\n[own]\n"
                          f"database = {index}\ndefault_md = sha256\ndefault_crl_days = 2\n")
        _openssl("ca", "-config", config, "-gencrl", "-cert", self.certificate, "-keyfile", self.key,
                 "-out", path)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
