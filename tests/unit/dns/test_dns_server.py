"""The whole server on loopback sockets, asked by real clients."""

import asyncio
import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import pytest
from tests.unit.dns.running import DEADLINE, WEB, Running, children, free_port, running, until

from kubesvc.client.rest import Client
from kubesvc.dns.options import DnsOptions, HostsOptions
from kubesvc.dns.run import run
from kubesvc.testing.builders import endpoint_slice, namespace, service
from kubesvc.testing.local import LocalTransport


@pytest.fixture
def api() -> LocalTransport:
    return LocalTransport(
        namespace("default"),
        service("web", {"name": "http", "port": 80}, cluster_ip="10.96.0.7"),
        service("db", cluster_ip="None"),
        endpoint_slice("db", *(f"10.1.0.{n}" for n in range(1, 101)), port_name="http"),
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_names_are_answered_and_follow_the_cluster(api: LocalTransport, workers: int) -> None:
    async with running(api, workers=workers) as server:
        assert await server.answers(WEB) == ["10.96.0.7"]
        api.put(service("web", cluster_ip="10.96.0.9"))

        async def changed() -> bool:
            # With several workers each question goes to one of them.
            return all([await server.answers(WEB) == ["10.96.0.9"] for _ in range(8)])

        await until(changed)
        api.put(service("new", cluster_ip="10.96.0.11"))

        async def appeared() -> bool:
            return all([await server.answers("new.default.svc.cluster.local") == ["10.96.0.11"] for _ in range(8)])

        await until(appeared)


async def test_before_the_names_are_known_the_port_says_servfail(api: LocalTransport) -> None:
    api.set_reachable(reachable=False)
    async with running(api, wait=False) as server:

        async def answering() -> bool:
            return (await server.ask(WEB)).rcode() == dns.rcode.SERVFAIL

        await until(answering)
        assert (await server.ask("7.0.96.10.in-addr.arpa", "PTR")).rcode() == dns.rcode.SERVFAIL
        assert (await server.page(server.options.ready_port, "/ready"))[0] == 503
        assert await server.page(server.options.health_port, "/health") == (200, "OK")
        api.set_reachable(reachable=True)
        await until(server.is_ready)
        assert await server.answers(WEB) == ["10.96.0.7"]


async def test_with_the_api_away_it_goes_on_and_says_for_how_long(api: LocalTransport) -> None:
    async with running(api) as server:
        api.set_reachable(reachable=False)
        assert await server.answers(WEB) == ["10.96.0.7"]
        assert await server.is_ready()
        status, page = await server.page(server.options.metrics_port, "/metrics")
        assert status == 200
        assert "kubesvc_dns_api_silence_seconds" in page
        api.set_reachable(reachable=True)
        api.put(service("web", cluster_ip="10.96.0.9"))

        async def changed() -> bool:
            return await server.answers(WEB) == ["10.96.0.9"]

        await until(changed)


async def test_what_is_cut_by_udp_comes_whole_by_tcp(api: LocalTransport) -> None:
    async with running(api) as server:
        name = "db.default.svc.cluster.local"
        assert (await server.ask(name)).flags & dns.flags.TC
        assert len((await server.ask(name, tcp=True)).answer[0]) == 100


async def test_questions_on_one_connection_are_all_answered(api: LocalTransport) -> None:
    async with running(api) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.options.port)
        queries = [dns.message.make_query(WEB, "A", id=n).to_wire() for n in range(1000)]
        writer.write(b"".join(len(q).to_bytes(2, "big") + q for q in queries))
        seen = []
        for _ in queries:
            size = int.from_bytes(await reader.readexactly(2), "big")
            seen.append(dns.message.from_wire(await reader.readexactly(size)).id)
        assert seen == list(range(1000))
        writer.close()
        await writer.wait_closed()


async def test_metrics_count_what_was_answered(api: LocalTransport) -> None:
    for workers in (0, 1):
        async with running(api, workers=workers) as server:
            await server.answers(WEB)
            await server.answers(WEB)
            await server.ask("nope.default.svc.cluster.local")
            await server.ask(WEB, tcp=True)
            _, page = await server.page(server.options.metrics_port, "/metrics")
            lines = page.splitlines()
            at = f'server="dns://:{server.options.port}",zone'
            mine = f'{at}="cluster.local.",view=""'
            assert f'coredns_dns_requests_total{{{mine},proto="udp",family="1",type="A"}} 3' in lines
            assert f'coredns_dns_requests_total{{{mine},proto="tcp",family="1",type="A"}} 1' in lines
            assert f'coredns_dns_responses_total{{{mine},rcode="NXDOMAIN",plugin="kubernetes"}} 1' in lines
            assert f'coredns_dns_request_duration_seconds_count{{{at}=".",view=""}} 4' in lines
            assert f'coredns_dns_response_size_bytes_bucket{{{at}=".",view="",proto="udp",le="64000"}} 3' in lines
            assert f'coredns_dns_response_size_bytes_count{{{at}=".",view="",proto="tcp"}} 1' in lines
            assert "coredns_panics_total 0" in lines


async def test_pages_refuse_what_they_are_not(api: LocalTransport) -> None:
    async with running(api) as server:
        port = server.options.health_port
        assert (await server.page(port, "/nope"))[0] == 404
        assert (await server.page(port, "/health", "POST"))[0] == 405
        assert await server.page(port, "/health", "HEAD") == (200, "")


async def test_a_leaving_server_still_answers(api: LocalTransport) -> None:
    async with running(api, lameduck=30.0) as server:
        assert server.task is not None
        server.task.cancel()

        async def leaving() -> bool:
            return (await server.page(server.options.ready_port, "/ready")) == (503, "shutting down\n")

        await until(leaving)
        assert await server.answers(WEB) == ["10.96.0.7"]


async def test_a_worker_that_dies_is_replaced_and_knows_everything(api: LocalTransport) -> None:
    others = children()
    async with running(api, workers=1) as server:
        (worker,) = children() - others
        os.kill(worker, signal.SIGKILL)

        async def replaced() -> bool:
            return worker not in children() and await server.is_ready()

        await until(replaced)
        assert await server.answers(WEB) == ["10.96.0.7"]
    assert children() == others


async def test_an_external_name_is_resolved_through_the_upstream(api: LocalTransport) -> None:
    other = LocalTransport(namespace("default"), service("target", cluster_ip="10.96.0.50"))
    external = service("ext", type="ExternalName", externalName="target.default.svc.other.example", cluster_ip="")
    async with running(other, domain="other.example") as upstream:
        api.put(external)
        async with running(api, upstreams=(f"127.0.0.1:{upstream.options.port}",)) as server:
            answer = await server.ask("ext.default.svc.cluster.local")
            assert [str(rrset) for rrset in answer.answer] == [
                "ext.default.svc.cluster.local. 5 IN CNAME target.default.svc.other.example.",
                "target.default.svc.other.example. 5 IN A 10.96.0.50",
            ]
            assert answer.flags & dns.flags.RA
            missing = await server.ask("nope.default.svc.other.example", tcp=True)
            assert missing.rcode() == dns.rcode.NXDOMAIN
            assert missing.authority
            reverse = await server.ask("50.0.96.10.in-addr.arpa", "PTR")
            assert [str(r) for rrset in reverse.answer for r in rrset] == ["target.default.svc.other.example."]
            _, page = await server.page(server.options.metrics_port, "/metrics")
            assert "coredns_cache_entries 3" in page.splitlines()


async def test_a_server_that_forwards_to_itself_notices(api: LocalTransport) -> None:
    port = free_port()
    options = DnsOptions(
        bind="127.0.0.1", port=port, health_port=0, ready_port=free_port(), metrics_port=0,
        upstreams=(f"127.0.0.1:{port}",), lameduck=0.0,
    )  # fmt: skip
    server = Running(options, api)
    task = asyncio.create_task(run(options, client=Client(api)))
    await until(server.is_ready)

    async def quick_failure() -> bool:
        return (await server.ask("example.com")).rcode() == dns.rcode.SERVFAIL

    await until(quick_failure)
    assert await server.answers(WEB) == ["10.96.0.7"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_zones_of_their_own_and_fixed_names(api: LocalTransport, tmp_path: Path) -> None:
    other = LocalTransport(namespace("default"), service("target", cluster_ip="10.96.0.50"))
    async with running(other, domain="corp.example") as corp:
        corefile = tmp_path / "Corefile"
        text = """
            .:%d {
                bind 127.0.0.1
                ready 127.0.0.1:%d
                kubernetes cluster.local in-addr.arpa ip6.arpa
                hosts {
                    192.0.2.7 seven.example
                    fallthrough
                }
                reload 10ms
            }
            corp.example {
                forward . 127.0.0.1:%d
            }
        """
        port, ready = free_port(), free_port()
        corefile.write_text(text % (port, ready, corp.options.port))
        options = DnsOptions(port=port, ready_port=ready, corefile=corefile)
        server = Running(options, api)
        task = asyncio.create_task(run(options, client=Client(api)))
        await until(server.is_ready)
        assert await server.answers("target.default.svc.corp.example") == ["10.96.0.50"]
        assert await server.answers("seven.example") == ["192.0.2.7"]
        assert (await server.ask("example.com")).rcode() == dns.rcode.NXDOMAIN
        corefile.write_text(corefile.read_text().replace("192.0.2.7", "nonsense!"))
        corefile.write_text(text.replace("192.0.2.7", "192.0.2.8") % (port, ready, corp.options.port))

        async def changed() -> bool:
            with suppress(dns.exception.DNSException, OSError):
                return await server.answers("seven.example") == ["192.0.2.8"]
            return False

        await until(changed)
        await until(server.is_ready)
        assert await server.answers(WEB) == ["10.96.0.7"]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_hosts_file_is_followed(api: LocalTransport, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("192.0.2.7 seven.example\n")
    async with running(api, hosts=HostsOptions(file=str(file), reload=0.01)) as server:

        async def says(address: str) -> bool:
            return await server.answers("seven.example") == [address]

        await until(lambda: says("192.0.2.7"))
        file.write_text("192.0.2.88 seven.example\n")
        await until(lambda: says("192.0.2.88"))
        file.unlink()
        assert await says("192.0.2.88")


async def test_queries_are_logged_on_demand(api: LocalTransport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="kubesvc")
    async with running(api, log_queries=True) as server:
        await server.ask(WEB, "AAAA")
        await server.ask(WEB, tcp=True)
    fields = [vars(record)["fields"] for record in caplog.records if record.message == "query"]
    assert [(f["name"], f["type"], f["transport"], f["rcode"]) for f in fields] == [
        (f"{WEB}.", "AAAA", "udp", "NOERROR"),
        (f"{WEB}.", "A", "tcp", "NOERROR"),
    ]


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed")
async def test_dig_reads_every_answer(api: LocalTransport) -> None:
    async def dig(server: Running, *args: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            "dig", "@127.0.0.1", "-p", str(server.options.port), "+noall", "+answer", "+time=5", "+tries=2", *args,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return sorted(" ".join(line.split()) for line in out.decode().splitlines() if not line.startswith(";"))

    async with running(api) as server:
        for transport in ("+notcp", "+tcp"):
            assert await dig(server, transport, WEB, "A") == [f"{WEB}. 5 IN A 10.96.0.7"]
            assert await dig(server, transport, "-x", "10.96.0.7") == [f"7.0.96.10.in-addr.arpa. 5 IN PTR {WEB}."]
            assert len(await dig(server, transport, "db.default.svc.cluster.local")) == 100
            assert await dig(server, transport, f"_http._tcp.{WEB}", "SRV") == [
                f"_http._tcp.{WEB}. 5 IN SRV 0 100 80 {WEB}."
            ]
            assert await dig(server, transport, WEB, "AAAA") == []


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
async def test_several_addresses_of_both_families(api: LocalTransport) -> None:
    async with running(api, bind="127.0.0.1,::1") as server:
        query = dns.message.make_query(WEB, "A")
        for how in (dns.asyncquery.udp, dns.asyncquery.tcp):
            for address in ("127.0.0.1", "::1"):
                reply = await how(query, address, port=server.options.port, timeout=DEADLINE)
                assert str(reply.answer[0][0]) == "10.96.0.7"


async def test_a_taken_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        options = DnsOptions(bind="127.0.0.1", port=port, health_port=0, ready_port=0, metrics_port=0, lameduck=0)
        with pytest.raises(OSError, match=f"cannot answer on 127.0.0.1 port {port}"):
            await run(options, client=Client(LocalTransport()))
