"""WebSocket through the gateway, and the same without it: for every case both outcomes are the same to the byte.

The server is the protocol of `websockets` (PyPI), which ends a connection that breaks RFC 6455 as that wants it, and echoes messages. The client of each case is a
socket that writes frames byte by byte, so that it may break any rule, and reads what comes back until the connection ends. A few cases let the `websockets`
client itself speak. Classes and numbers follow Autobahn's suite, which runs on Python 2 alone.

Starts `countersign up --ephemeral` (COUNTERSIGN_BIN) and ends with a line of counts.
"""

import asyncio
import random
import ssl
import struct
import zlib
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from fabric import failed, finish, passed, serve, write

APP = "https://app.example"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LIMIT = 16 * 1024 * 1024

CONFIGURATION = """
[[upstreams]]
name = "echo"
url = "http://127.0.0.1:PORT"
plain_http_because = "a test on loopback"

[[routes]]
name = "echo"
path = "/echo/{*rest}"
upstream = "echo"
audience = "https://app.example"
proof = "any"
upgrade = "websocket"
idle = "1m"
rate = { requests = 100000, per = "1m" }
actions.GET = { action = "request", scopes = ["app.read"] }

[[routes]]
name = "plain"
path = "/plain/{*rest}"
upstream = "echo"
audience = "https://app.example"
proof = "any"
rate = { requests = 1000, per = "1m" }
actions.GET = { action = "request", scopes = ["app.read"] }
"""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10


def frame(opcode, payload=b"", first=FIN, masked=True, length=None, mask=b"\x37\xfa\x21\x3d"):
    """One frame; `length` is the length that it claims in the longest form."""
    bit = 0x80 if masked else 0
    head = bytes([first | opcode])
    if length is not None:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    elif len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if masked:
        repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")
        head += mask
    return head + payload


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


BYE = close()


def chopped(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def fragments(opcode, payload, size, between=b"", first_bits=0):
    pieces = chopped(payload, size) or [b""]
    out = b""
    for position, piece in enumerate(pieces):
        fin = FIN if position == len(pieces) - 1 else 0
        bits = first_bits if position == 0 else 0
        out += frame(opcode if position == 0 else CONTINUATION, piece, fin | bits)
        if not fin:
            out += between
    return out


def deflated(payload):
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def cases():
    """Name, pieces to be written one after the other, extensions asked for."""
    rows = []

    def add(name, *pieces, extensions=None):
        rows.append((name, pieces, extensions))

    for opcode, kind in ((TEXT, "text"), (BINARY, "binary")):
        group = "1.1" if opcode == TEXT else "1.2"
        for number, length in enumerate([0, 125, 126, 127, 128, 65535, 65536], 1):
            add(f"{group}.{number} {kind} of {length}", frame(opcode, b"*" * length), BYE)
        add(f"{group}.8 {kind} of 65536 in pieces of 997", *chopped(frame(opcode, b"*" * 65536), 997), BYE)
    add("2.1 ping", frame(PING), BYE)
    add("2.2 ping with a word", frame(PING, b"Hello, world!"), BYE)
    add("2.3 ping with bytes", frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), BYE)
    add("2.4 ping of 125", frame(PING, b"\xfe" * 125), BYE)
    add("2.5 ping of 126", frame(PING, b"\xfe" * 126))
    add("2.6 ping of 125, byte by byte", *chopped(frame(PING, b"\xfe" * 125), 1), BYE)
    add("2.7 pong that nobody asked for", frame(PONG), BYE)
    add("2.8 pong with a word", frame(PONG, b"unsolicited"), BYE)
    add("2.9 pong, then ping", frame(PONG, b"unsolicited"), frame(PING, b"mine"), BYE)
    add("2.10 ten pings", *[frame(PING, b"payload-%d" % number) for number in range(10)], BYE)
    add("2.11 ten pings, byte by byte", *chopped(b"".join(frame(PING, b"payload-%d" % number) for number in range(10)), 1), BYE)
    for number, (bits, opcode) in enumerate([(RSV1, TEXT), (RSV2, TEXT), (RSV1 | RSV2, TEXT), (RSV3, TEXT), (RSV3 | RSV1, BINARY), (RSV3 | RSV2, PING), (RSV1 | RSV2 | RSV3, CLOSE)], 1):
        add(f"3.{number} reserved bits {bits:#x}", frame(TEXT, b"before"), frame(opcode, b"x" if opcode != CLOSE else b"\x03\xe8", FIN | bits))
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        add(f"4.{1 if opcode < 8 else 2} reserved opcode {opcode}", frame(TEXT, b"before"), frame(opcode, b"x"), frame(PING))
    add("5.1 ping in two fragments", frame(PING, b"a", 0), frame(CONTINUATION, b"b"))
    add("5.2 pong in two fragments", frame(PONG, b"a", 0), frame(CONTINUATION, b"b"))
    add("5.3 text in two fragments", fragments(TEXT, b"fragment1fragment2", 9), BYE)
    add("5.4 text in two fragments, apart", frame(TEXT, b"fragment1", 0), frame(CONTINUATION, b"fragment2"), BYE)
    add("5.5 text in two fragments, byte by byte", *chopped(fragments(TEXT, b"fragment1fragment2", 9), 1), BYE)
    add("5.6 a ping between two fragments", fragments(TEXT, b"fragment1fragment2", 9, frame(PING, b"between")), BYE)
    add("5.8 the same, byte by byte", *chopped(fragments(TEXT, b"fragment1fragment2", 9, frame(PING, b"between")), 1), BYE)
    add("5.9 continuation of nothing", frame(CONTINUATION, b"x"), frame(TEXT, b"Hello"))
    add("5.12 continuation of nothing, not the last", frame(CONTINUATION, b"x", 0), frame(TEXT, b"Hello"))
    add("5.15 continuation after the last fragment", fragments(TEXT, b"fragment1fragment2", 9), frame(CONTINUATION, b"fragment3"))
    add("5.16 a text within a text", frame(TEXT, b"fragment1", 0), frame(TEXT, b"fragment2"))
    add("5.19 five fragments with pings", fragments(TEXT, b"f1f2f3f4f5", 2, frame(PING, b"pong")), BYE)
    add("5.20 a binary in 1000 fragments", fragments(BINARY, bytes(range(250)) * 4, 1), BYE)
    utf8 = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    add("6.1 empty fragments", fragments(TEXT, b"", 1), frame(TEXT, b"", 0) + frame(CONTINUATION, b"", 0) + frame(CONTINUATION), BYE)
    add("6.2.1 UTF-8", frame(TEXT, utf8), BYE)
    add("6.2.3 UTF-8, a fragment a byte", fragments(TEXT, utf8, 1), BYE)
    add("6.2.4 UTF-8 of other scripts", frame(TEXT, "κόσμε 漢字 𝄞 \U0010ffff".encode()), BYE)
    add("6.3 a surrogate in the midst", frame(TEXT, "κόσμε".encode() + b"\xed\xa0\x80edited"))
    add("6.4 a surrogate in a later fragment", frame(TEXT, "κόσμε".encode(), 0), frame(CONTINUATION, b"\xf4\x90\x80\x80", 0), frame(CONTINUATION, b"edited"))
    valid = [b"\xf4\x8f\xbf\xbf", b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80", b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xef\xbf\xbe"]
    for number, text in enumerate(valid, 1):
        add(f"6.7.{number} {text.hex()}", frame(TEXT, text), BYE)
    broken = [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf4\x90\x80\x80", b"\x80", b"\xbf", b"\x80\xbf", b"\xc0", b"\xc0 ", b"\xe0", b"\xf0\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xce"]
    for number, text in enumerate(broken, 1):
        add(f"6.8.{number} {text.hex()}", frame(TEXT, text))
    add("7.1.1 a text, then close", frame(TEXT, b"Hello World!"), BYE)
    add("7.1.2 close twice", BYE, BYE)
    add("7.1.3 ping after close", BYE, frame(PING))
    add("7.1.4 text after close", BYE, frame(TEXT, b"Hello"))
    add("7.1.5 close between fragments", frame(TEXT, b"fragment1", 0), BYE, frame(CONTINUATION, b"fragment2"))
    add("7.1.6 256 KiB, then close, then ping", frame(TEXT, b"BAsd7&jh23" * 26214), BYE, frame(PING))
    add("7.3.1 close without code", frame(CLOSE))
    add("7.3.2 close with one byte", frame(CLOSE, b"a"))
    add("7.3.3 close with a code", close(1000))
    add("7.3.4 close with a reason", close(1000, b"Hello World!"))
    add("7.3.5 close with the longest reason", close(1000, b"*" * 123))
    add("7.3.6 close with a reason too long", close(1000, b"*" * 124))
    add("7.5.1 close with a reason that is no UTF-8", close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"))
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        add(f"7.7 code {code}", close(code))
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        add(f"7.9 code {code}", close(code))
    add("7.11 an end without close", frame(TEXT, b"Hello"), None)
    add("7.12 an end in the midst of a frame", frame(TEXT, b"Hello World")[:7], None)
    add("8.1 a frame without mask", frame(TEXT, b"Hello", masked=False))
    add("8.2 a length in a form too long", frame(TEXT, b"", length=5)[:-4] + b"\0\0\0\0Hello", BYE)
    add("8.3 a length past 2^63", frame(BINARY, b"", length=2**63))
    for number, size in enumerate([2**18, 2**20, 2**22, 2**23], 1):
        add(f"9.1.{number} text of {size}", frame(TEXT, b"*" * size), BYE)
        add(f"9.2.{number} binary of {size}", frame(BINARY, random.Random(number).randbytes(size)), BYE)
    for number, size in enumerate([64, 1024, 16384, 262144], 1):
        add(f"9.3.{number} 1 MiB in fragments of {size}", fragments(TEXT, b"*" * (2**20 if size > 64 else 2**16), size), BYE)
    for number, size in enumerate([64, 1024, 65536], 1):
        add(f"9.5.{number} 256 KiB in pieces of {size}", *chopped(frame(TEXT, b"*" * 2**18), size), BYE)
    add("9.7 1000 messages of 16", *[frame(TEXT, b"%016d" % number) for number in range(1000)], BYE)
    add("9.8 1000 messages of 1024 at once", b"".join(frame(BINARY, bytes([number % 256]) * 1024) for number in range(1000)), BYE)
    add("10.1 a message in automatic fragments of 1300", fragments(TEXT, b"*" * 65536, 1300), BYE)
    packed = "permessage-deflate"
    for number, size in enumerate([16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072], 1):
        text = (b'{"id":%d,"text":"abc"}' % number) * (size // 16)
        add(f"12.1.{number} compressed text of {len(text)}", frame(TEXT, deflated(text), FIN | RSV1), BYE, extensions=packed)
        add(f"12.2.{number} compressed in fragments", fragments(TEXT, deflated(text), 100, first_bits=RSV1), BYE, extensions=packed)
    for number, asked in enumerate(["client_no_context_takeover", "server_no_context_takeover", "client_max_window_bits", "server_max_window_bits=9", "server_max_window_bits=15; client_max_window_bits"], 1):
        add(f"13.{number} {asked}", frame(TEXT, deflated(b"Hello" * 100), FIN | RSV1), frame(TEXT, b"plain"), BYE, extensions=f"{packed}; {asked}")
    add("13.6 an extension that nobody knows", frame(TEXT, b"Hello"), BYE, extensions="x-unknown; a=b")
    add("13.7 compressed without having agreed", frame(TEXT, deflated(b"Hello"), FIN | RSV1))
    add("13.8 compressed bytes that are none", frame(TEXT, b"\xff\xff\xff\xff", FIN | RSV1), extensions=packed)
    return rows


class Way:
    """One way to the server: straight, or through the gateway."""

    def __init__(self, host, port, context=None, bearer=None):
        self.host, self.port, self.context, self.bearer = host, port, context, bearer

    async def run(self, pieces, extensions):
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.context)
        fields = ["GET /echo/a?b=c HTTP/1.1", f"Host: {self.host}:{self.port}", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: chat"]
        if self.bearer:
            fields.append(f"Authorization: Bearer {self.bearer}")
        if extensions:
            fields.append(f"Sec-WebSocket-Extensions: {extensions}")
        writer.write(("\r\n".join(fields) + "\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        outcome = [lines[0], named.get("sec-websocket-accept"), named.get("sec-websocket-extensions"), named.get("upgrade")]
        back = asyncio.create_task(self.read(reader))
        for piece in pieces:
            if piece is None:
                writer.close()
                break
            try:
                writer.write(piece)
                await writer.drain()
            except OSError:
                break
        outcome.append(await back)
        writer.close()
        return outcome

    async def read(self, reader):
        data = b""
        while True:
            try:
                piece = await reader.read(65536)
            except OSError:
                return data
            if not piece:
                return data
            data += piece


async def compare(name, direct, through, pieces, extensions):
    try:
        one = await asyncio.wait_for(direct.run(pieces, extensions), 30)
        other = await asyncio.wait_for(through.run(pieces, extensions), 30)
    except Exception as error:  # every kind of failure is one failed case
        return report(name, f"{type(error).__name__}: {error}")
    if one != other:
        shown = [[str(part)[:120] for part in outcome] for outcome in (one, other)]
        return report(name, f"directly {shown[0]}, through the gateway {shown[1]}")
    return report(name, None)


def report(name, wrong):
    if wrong:
        failed(name, wrong)
    else:
        passed(name)


async def spoken(through, direct, context):
    """The `websockets` client itself, straight and through the gateway."""

    async def talk(way):
        scheme = "wss" if way.context else "ws"
        headers = {"Authorization": f"Bearer {way.bearer}"} if way.bearer else {}
        said = []
        async with connect(f"{scheme}://{way.host}:{way.port}/echo/a", ssl=way.context, additional_headers=headers, max_size=LIMIT, proxy=None, subprotocols=["chat"]) as client:
            said.append(client.subprotocol)
            for message in ["Hello", "ü" * 10000, b"\x00\xff" * 50000, ""]:
                await client.send(message)
                said.append(await client.recv())
            await client.send(["in ", "many ", "pieces"])
            said.append(await client.recv())
            await (await client.ping())
            await client.close(4000, "enough")
            said.append((client.close_code, client.close_reason))
        return said

    async def refused(path, bearer, status):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        try:
            async with connect(f"wss://{through.host}:{through.port}{path}", ssl=context, additional_headers=headers, proxy=None):
                return "it was let in"
        except Exception as error:
            code = getattr(getattr(error, "response", None), "status_code", None)
            return None if code == status else f"{error!r}"

    try:
        one, other = await talk(direct), await talk(through)
        report("a client with subprotocol, fragments, compression and close", None if one == other else f"{one} {other}")
    except Exception as error:
        report("a client with subprotocol, fragments, compression and close", f"{type(error).__name__}: {error}")
    report("without a token nobody is let in", await refused("/echo/a", None, 401))
    report("a route that takes none", await refused("/plain/a", through.bearer, 403))
    report("no route", await refused("/other", through.bearer, 404))


class Echo:
    """A server that does one thing after the other: `websockets` without its event loop, fed frame by frame, so that its answers do not depend on how bytes were cut."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], subprotocols=["chat"], max_size=LIMIT)
        self.message, self.opcode = b"", None

    async def run(self):
        try:
            await self.shake_hands()
            while True:
                head = await self.reader.readexactly(2)
                length = head[1] & 0x7F
                if length >= 126:
                    longer = await self.reader.readexactly(2 if length == 126 else 8)
                    head, length = head + longer, int.from_bytes(longer, "big")
                if head[1] & 0x80:
                    head += await self.reader.readexactly(4)
                # The head alone may be the end.
                await self.feed(head)
                if self.protocol.close_expected():
                    break
                if length:
                    await self.feed(await self.reader.readexactly(length))
                if self.protocol.close_expected():
                    break
            while await self.reader.read(65536):
                pass
        except (asyncio.IncompleteReadError, OSError):
            pass
        self.writer.close()

    async def shake_hands(self):
        self.protocol.receive_data(await self.reader.readuntil(b"\r\n\r\n"))
        [request] = self.protocol.events_received()
        self.protocol.send_response(self.protocol.accept(request))
        await self.flush()

    async def feed(self, data):
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            self.take(event)
        await self.flush()

    def take(self, frame):
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self.message, self.opcode = b"", frame.opcode
        self.message += bytes(frame.data)
        if not frame.fin or self.protocol.state is not State.OPEN:
            return
        if self.opcode is Opcode.BINARY:
            self.protocol.send_binary(self.message)
            return
        try:
            self.message.decode()
        except UnicodeDecodeError:
            self.protocol.fail(1007, "invalid UTF-8")
            return
        self.protocol.send_text(self.message)

    async def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.writer.write(data)
            elif self.writer.can_write_eof():
                self.writer.write_eof()
        await self.writer.drain()


async def echo(reader, writer):
    await Echo(reader, writer).run()


async def all_cases(fabric, port):
    gateway = urlsplit(fabric.addresses["gateway"])
    context = ssl.create_default_context(cafile=fabric.addresses["ca"])
    token = fabric.token("reader", fabric.client("reader", "--scope", "app.read", "--audience", APP), "app.read", APP)
    direct = Way("127.0.0.1", port)
    through = Way("localhost", gateway.port, context, token)
    for name, pieces, extensions in cases():
        await compare(name, direct, through, pieces, extensions)
    await spoken(through, direct, context)


async def beside_the_echo(fabric):
    server = await asyncio.start_server(echo, "127.0.0.1", 0, limit=2 * LIMIT)
    port = server.sockets[0].getsockname()[1]
    write(fabric.config, {"countersign.toml": CONFIGURATION.replace("PORT", str(port))})
    await asyncio.to_thread(fabric.start)
    await all_cases(fabric, port)
    server.close()


serve("websockets", None, lambda fabric: asyncio.run(beside_the_echo(fabric)))
finish("websockets")
