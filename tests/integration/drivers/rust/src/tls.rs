//! TLS for tokio-postgres by rustls. The usual connectors are crates that Debian does not have, and each is
//! no more than this: what makes a stream, and the hash of its certificate for SCRAM's channel binding.

use sha2::{Digest, Sha256};
use std::env;
use std::fs::File;
use std::future::Future;
use std::io::{self, BufReader};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::{self, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::Config;
use tokio_rustls::rustls::{Certificate, ClientConfig, RootCertStore, ServerName};
use tokio_rustls::{client, TlsConnector};

#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// As the environment has it, for this configuration too: with an authority nothing goes without TLS and
    /// no login without channel binding, and without one there is no TLS.
    pub fn configure(config: &mut Config) -> crate::Result<Tls> {
        let mut roots = RootCertStore::empty();
        match env::var("PGSSLROOTCERT") {
            Ok(file) => {
                for certificate in rustls_pemfile::certs(&mut BufReader::new(File::open(file)?))? {
                    roots.add(&Certificate(certificate))?;
                }
                config.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
            }
            Err(_) => {
                config.ssl_mode(SslMode::Disable);
            }
        }
        let client = ClientConfig::builder()
            .with_safe_defaults()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Tls(TlsConnector::from(Arc::new(client))))
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Tls;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _host: &str) -> io::Result<Tls> {
        Ok(self.clone())
    }
}

impl<S> TlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            // this rustls knows no addresses in a certificate
            let name = ServerName::try_from("localhost").expect("a name");
            Ok(Stream(self.0.connect(name, stream).await?))
        })
    }
}

pub struct Stream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> tls::ChannelBinding {
        match self.0.get_ref().1.peer_certificates() {
            // signed with SHA-256, which says what it is hashed with
            Some([certificate, ..]) => {
                tls::ChannelBinding::tls_server_end_point(Sha256::digest(&certificate.0).to_vec())
            }
            _ => tls::ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
