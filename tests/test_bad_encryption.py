"""Encrypted files that must not be trusted: each fails with the code that says why, good ones beside it are
imported, nothing of its clear text stays, and what is sent again whole is imported.
"""

from collections.abc import Callable

import pytest

from support.gpg import Gpg
from support.site import Keys, Site, csv, import_certificate, people

GOOD, BAD = csv(*people("good", 3)), csv(*people("bad", 4000))
NAME = "contacts bad.csv.gpg"
MIB = 1 << 20


@pytest.fixture(scope="module")
def recipient(gpg_partner: Gpg, worker_keys: Keys) -> str:
    """The fingerprint of the worker's certificate, which the partner has."""
    return import_certificate(gpg_partner, worker_keys)


@pytest.fixture
def seal(gpg_partner: Gpg, recipient: str) -> Callable[..., bytes]:
    """A function that encrypts for the worker."""

    def encrypt(content: bytes, **more: object) -> bytes:
        return gpg_partner.encrypt(content, recipient, **more)  # type: ignore[arg-type]

    return encrypt


def know_signer(site: Site, partner: Gpg) -> None:
    """Make the partner a known signer."""
    site.worker.secret("signers/partner.asc", partner.export_public("partner"))


def fails_alone(site: Site, content: bytes, reason: str, good: bytes) -> str:
    """Run the job over the bad file and a good one; only the bad one fails. Return the message."""
    site.put("contacts good.csv.gpg", good, age=1800)
    place = site.put(NAME, content)
    report = site.run(code=3).json()
    assert (report["result"], report["reason"]) == ("partial", reason)
    assert site.activity()[-1] == ("partial", reason)
    assert site.ledger()[-2:] == [(NAME, "failed", reason), ("contacts good.csv.gpg", "done", None)]
    assert site.lists() == {"contacts good": 3}
    assert list(site.files()) == [NAME]
    assert place.read_bytes() == content
    assert site.refused() == []
    site.nothing_is_left()
    return str(site.ledger("message")[-2][0])


def is_imported_when_sent_again(site: Site, content: bytes) -> None:
    """Send a whole file of the same name; the next run takes it."""
    site.put(NAME, content)
    assert site.run().json()["result"] == "success"
    assert site.lists() == {"contacts good": 3, "contacts bad": 4000}
    assert site.files() == {}
    site.nothing_is_left()


def test_a_clear_file_is_refused_where_encryption_is_required(site: Site, seal: Callable[..., bytes]) -> None:
    site.job(encryption={"required": True})
    fails_alone(site, BAD, "not_encrypted", seal(GOOD))


def test_a_signed_but_clear_message_is_not_encrypted(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True})
    know_signer(site, gpg_partner)
    fails_alone(site, gpg_partner.sign(BAD, "partner"), "not_encrypted", seal(GOOD))


def test_a_file_encrypted_to_another_key_names_what_is_missing(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True})
    fails_alone(site, gpg_partner.encrypt(BAD, "partner"), "pgp_no_key", seal(GOOD))
    is_imported_when_sent_again(site, seal(BAD))


def test_a_file_encrypted_with_a_password_is_refused(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True})
    content = gpg_partner.run("--passphrase", "geheim", "--symmetric", content=BAD)
    fails_alone(site, content, "pgp_no_key", seal(GOOD))


@pytest.mark.parametrize("must_sign", [False, True])
def test_a_file_signed_by_a_stranger_is_refused_whether_or_not_a_signature_is_required(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes], must_sign: bool
) -> None:
    site.job(encryption={"required": True, "require_signature": must_sign})
    with Gpg() as stranger:
        key = stranger.make_key("stranger")
        gpg_partner.import_key(stranger.export_secret(key))
    good = seal(GOOD)
    if must_sign:
        know_signer(site, gpg_partner)
        good = seal(GOOD, sign_as="partner")
    fails_alone(site, seal(BAD, sign_as=key), "pgp_signature", good)


def test_an_unsigned_file_is_refused_where_a_signature_is_required(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True, "require_signature": True})
    know_signer(site, gpg_partner)
    fails_alone(site, seal(BAD), "pgp_signature", seal(GOOD, sign_as="partner"))
    is_imported_when_sent_again(site, seal(BAD, sign_as="partner"))


def test_a_file_signed_by_a_known_signer_says_by_whom(
    site: Site, gpg_partner: Gpg, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True, "require_signature": True})
    know_signer(site, gpg_partner)
    site.put(NAME, seal(GOOD, sign_as="partner"))
    (file,) = site.run().json()["files"]
    assert gpg_partner.fingerprint("partner") in file["signed_by"]
    assert site.lists() == {"contacts bad": 3}


@pytest.mark.parametrize("armor", [False, True], ids=["binary", "armoured"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_file_fails_alone(
    site: Site, seal: Callable[..., bytes], armor: bool, share: float
) -> None:
    site.job(encryption={"required": True})
    content = seal(BAD, armor=armor)
    fails_alone(site, content[: int(len(content) * share)], "pgp_truncated", seal(GOOD))
    is_imported_when_sent_again(site, content)


PLACES = {
    # The session key, which opens nothing any more; the text; the proof that nothing was changed.
    "start": (lambda size: 200, {"pgp_no_key", "pgp_decrypt", "pgp_integrity"}),
    "middle": (lambda size: size // 2, {"pgp_integrity"}),
    "end": (lambda size: size - 1, {"pgp_integrity"}),
}


@pytest.mark.parametrize(("place", "reasons"), PLACES.values(), ids=PLACES)
def test_one_tampered_byte_fails_the_file_and_nothing_of_it_is_loaded(
    site: Site, seal: Callable[..., bytes], place: Callable[[int], int], reasons: set[str]
) -> None:
    site.job(encryption={"required": True})
    whole = seal(BAD, arguments=["--compress-algo", "none"])
    tampered = bytearray(whole)
    tampered[place(len(whole))] ^= 0x01
    site.put("contacts good.csv.gpg", seal(GOOD), age=1800)
    site.put(NAME, bytes(tampered))
    report = site.run(code=3).json()
    assert report["reason"] in reasons
    assert site.lists() == {"contacts good": 3}
    assert list(site.files()) == [NAME]
    site.nothing_is_left()
    is_imported_when_sent_again(site, whole)


@pytest.fixture(scope="module")
def bomb(gpg_partner: Gpg, recipient: str) -> bytes:
    """More than 64 MiB of a contact list, from where on the ratio counts, in a few hundred thousand bytes."""
    line = b"id,Name,+380441110000,x@example.org\r\n"
    arguments = ["--compress-algo", "zlib", "-z", "9"]
    content = csv() + line * (70 * MIB // len(line) + 1)
    made = gpg_partner.encrypt(content, recipient, arguments=arguments)
    assert len(made) < len(content) / 200
    return made


def test_a_compression_bomb_is_stopped_by_its_ratio(
    site: Site, seal: Callable[..., bytes], bomb: bytes
) -> None:
    site.job(encryption={"required": True})
    assert "200" in fails_alone(site, bomb, "compression_bomb", seal(GOOD))


def test_a_compression_bomb_is_stopped_by_its_size(
    site: Site, seal: Callable[..., bytes], bomb: bytes
) -> None:
    site.job(encryption={"required": True, "max_bytes": MIB})
    assert str(MIB) in fails_alone(site, bomb, "too_large", seal(GOOD))


def test_a_compression_that_is_not_supported_is_not_taken_for_tampering(
    site: Site, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True})
    content = seal(BAD, arguments=["--compress-algo", "bzip2"])
    assert "not supported" in fails_alone(site, content, "pgp_decrypt", seal(GOOD))
    is_imported_when_sent_again(site, seal(BAD))


def test_without_the_worker_s_key_encrypted_files_fail_and_say_how_to_make_one(
    site: Site, seal: Callable[..., bytes]
) -> None:
    site.job(encryption={"required": True})
    key = site.worker.secrets / "pgp_key"
    text = key.read_text()
    key.unlink()
    place = site.put(NAME, seal(GOOD))
    finished = site.run(code=1)
    assert finished.json()["reason"] == "secret_missing"
    assert site.lists() == {}
    assert place.exists()
    site.nothing_is_left()
    site.worker.secret("pgp_key", text)
    site.run()
    assert site.lists() == {"contacts bad": 3}
