"""A private nginx as the reverse proxy in front of a gallery."""

import shutil
from dataclasses import dataclass

from helpers.servers import MissingError, Server

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
    location {location} {{
      proxy_pass {upstream};
      {options}
    }}
  }}
}}
"""

FORWARDED = (
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header X-Forwarded-Host $http_host;",
)


@dataclass(eq=False)
class Nginx(Server):
    """Nginx with nothing but `proxy_pass` and the lines in `options`.

    `upstream` is the value of proxy_pass, `location` the path in front of it; with a `certificate`, of trustme, it
    speaks TLS.
    """

    upstream: str = ""
    location: str = "/"
    certificate: object = None

    def start(self):
        if not (program := shutil.which("nginx", path="/usr/sbin:/usr/bin")):
            raise MissingError("nginx")
        tls = ""
        if self.certificate:
            pem = self.folder / "server.pem"
            self.certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
            tls = f" ssl; ssl_certificate {pem}; ssl_certificate_key {pem}"
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                tls=tls,
                location=self.location,
                upstream=self.upstream,
                options="\n      ".join(self.options),
            )
        )
        self.spawn(program, "-c", configuration, "-e", "stderr")
        self.wait_until_ready()
        return self
