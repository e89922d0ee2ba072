"""What a code server protects its connections with, made of its settings; called by `server`.

Its certificate is shown both ways: to whoever calls it, and to the host that it calls. Where it
knows the authority of hosts, nobody but a host may call it: a certificate of the same authority
that another location has opens nothing here.
"""

from __future__ import annotations

from atoll._rpc import addresses, errors, peer_identities, pem_files, reasons, serving, tls
from atoll._server import settings as server_settings


def security_of(given: server_settings.Certificates) -> serving.Security | None:
    """Return how calls of the host are protected; None where nothing protects them.

    Raises:
        errors.RpcError: A file cannot be used, or lacks those that it needs.
    """
    pair = _pair(given)
    if pair is None:
        if given.client_ca is not None:
            raise errors.InvalidArgumentError(
                "--tls-client-ca says whose calls are taken, but without a certificate nobody is "
                "asked for one. Name --tls-certificate and --tls-key too.",
                reason=reasons.TLS_FILE_UNUSABLE,
            )
        return None
    asks = given.client_ca is not None
    mode = tls.ClientCertificates.REQUIRED if asks else tls.ClientCertificates.NONE
    files = tls.ServerFiles(pair, given.client_ca, mode)
    return serving.Security(tls.ServerTls(files), admit=only_hosts if asks else None)


def dialing_of(given: server_settings.Certificates) -> tls.ClientTls | None:
    """Return the TLS to speak to the host; None where it is spoken to without.

    Raises:
        errors.RpcError: A file cannot be used, or lacks those that it needs.
    """
    if given.host_ca is None:
        return None
    return tls.ClientTls(tls.ClientFiles(given.host_ca, _pair(given)))


def advertised(chosen: server_settings.Settings, listening: str) -> str:
    """Return the address that the host is told.

    Args:
        chosen: The settings.
        listening: Where the code server listens.

    Raises:
        errors.InvalidArgumentError: What is to be told is no address.
    """
    port = addresses.parse(listening).port
    text = chosen.advertise or listening
    has_port = ":" in text and not text.endswith("]")
    told = addresses.parse(text if has_port else f"{text}:{port}")
    if told.is_unspecified:
        raise errors.InvalidArgumentError(
            f"{listening} is every address of this machine, and the host cannot connect to that. "
            "Name the address at which the host reaches it with --advertise.",
            reason=reasons.INVALID_ADDRESS,
            metadata={"address": text},
        )
    return str(addresses.Address(told.host, told.port or port))


def only_hosts(peer: peer_identities.PeerIdentity | None) -> None:
    """Refuse whoever is no host by their certificate.

    Raises:
        errors.PermissionDeniedError: They are none.
    """
    if peer is None or peer.kind is not peer_identities.PeerKind.HOST:
        who = "a certificate without an identity" if peer is None else f"{peer.uri!r}"
        raise errors.PermissionDeniedError(
            f"Only hosts may call a code server, and this is {who}. The certificate of a host "
            "has the URI 'atoll:host' among its names.",
            reason=reasons.UNKNOWN_PEER,
        )


def _pair(given: server_settings.Certificates) -> pem_files.Pair | None:
    certificate, key = given.certificate, given.key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        lacking = "--tls-key" if key is None else "--tls-certificate"
        raise errors.InvalidArgumentError(
            f"--tls-certificate and --tls-key belong together, and {lacking} is missing. "
            "Name both.",
            reason=reasons.TLS_FILE_UNUSABLE,
        )
    return pem_files.Pair(certificate, key)
