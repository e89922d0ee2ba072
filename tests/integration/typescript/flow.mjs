// What a program in TypeScript does, as the test has it: prints one line of JSON for each finding.
// node flow.mjs CLIENT BASE_URL TOKEN
const [client, baseUrl, token] = process.argv.slice(2);
const { connect, errorInfo, watchEvents } = await import(client);

const tell = (found) => console.log(JSON.stringify(found));
const host = connect({ baseUrl, token: () => token || undefined });

const { locations } = await host.locations.listLocations({});
tell({ locations: locations.map((location) => location.name) });

const enough = new AbortController();
const seen = [];
const watching = (async () => {
  const filter = { kinds: ["run_enqueued"] };
  for await (const stored of watchEvents(host, filter, { signal: enough.signal, fromBeginning: true })) {
    seen.push(stored.event?.runId);
    if (seen.length === 2) enough.abort();
  }
})();

const launched = [];
for (const requestId of ["one", "two", "two"]) {
  const { run } = await host.runs.launchRun({ requestId, locationName: "shop", jobName: "load" });
  launched.push(run.runId);
}
tell({ launched });
await watching;
tell({ seen });

try {
  await host.runs.getRun({ runId: "nothing-like-that" });
} catch (error) {
  tell({ reason: errorInfo(error)?.reason });
}
try {
  await connect({ baseUrl, token: () => "atoll_nobody" }).runs.listRuns({});
} catch (error) {
  tell({ stranger: errorInfo(error)?.reason });
}
