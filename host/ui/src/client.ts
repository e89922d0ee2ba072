/**
 * A typed client of a host: one property for each service of `atoll.api.v1`, over HTTP with JSON.
 *
 * The messages and services in `gen/` are made from the protos. What is written here is what every
 * caller needs besides: credentials, watches that go on after a lost connection, errors with reasons.
 */
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { type DescService, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";

import { AccessService } from "./gen/atoll/api/v1/access_pb.js";
import { AlertsService } from "./gen/atoll/api/v1/alerts_pb.js";
import { AssetsService } from "./gen/atoll/api/v1/assets_pb.js";
import { AuditService } from "./gen/atoll/api/v1/audit_pb.js";
import { SensorsService } from "./gen/atoll/api/v1/automation_pb.js";
import { BackfillsService } from "./gen/atoll/api/v1/backfills_pb.js";
import { BuildsService } from "./gen/atoll/api/v1/builds_pb.js";
import { ChecksService } from "./gen/atoll/api/v1/checks_pb.js";
import { ConditionsService } from "./gen/atoll/api/v1/conditions_pb.js";
import { type EventFilterSchema, EventsService } from "./gen/atoll/api/v1/events_pb.js";
import { FreshnessService } from "./gen/atoll/api/v1/freshness_pb.js";
import { GraphService } from "./gen/atoll/api/v1/graph_pb.js";
import { JobsService } from "./gen/atoll/api/v1/jobs_pb.js";
import { LocationsService } from "./gen/atoll/api/v1/locations_pb.js";
import { PartitionsService } from "./gen/atoll/api/v1/partitions_pb.js";
import { PolicyService } from "./gen/atoll/api/v1/policy_pb.js";
import { PoolsService } from "./gen/atoll/api/v1/pools_pb.js";
import { ReportsService } from "./gen/atoll/api/v1/reports_pb.js";
import { RetentionService } from "./gen/atoll/api/v1/retention_pb.js";
import { RunsService } from "./gen/atoll/api/v1/runs_pb.js";
import { SchedulesService } from "./gen/atoll/api/v1/schedules_pb.js";
import { ServerService } from "./gen/atoll/api/v1/server_pb.js";
import { SubscriptionsService } from "./gen/atoll/api/v1/subscriptions_pb.js";
import type { StoredEvent } from "./gen/atoll/events/v1/events_pb.js";
import { ErrorInfoSchema } from "./gen/atoll/rpc/v1/status_pb.js";

// Without ImpactService: clients send it streams, which browsers cannot.
const services = {
  access: AccessService,
  alerts: AlertsService,
  assets: AssetsService,
  audit: AuditService,
  backfills: BackfillsService,
  builds: BuildsService,
  checks: ChecksService,
  conditions: ConditionsService,
  events: EventsService,
  freshness: FreshnessService,
  graph: GraphService,
  jobs: JobsService,
  locations: LocationsService,
  partitions: PartitionsService,
  policy: PolicyService,
  pools: PoolsService,
  reports: ReportsService,
  retention: RetentionService,
  runs: RunsService,
  schedules: SchedulesService,
  sensors: SensorsService,
  server: ServerService,
  subscriptions: SubscriptionsService,
} satisfies Record<string, DescService>;

/** The services of a host, by noun. */
export type Host = { readonly [Noun in keyof typeof services]: Client<(typeof services)[Noun]> };

/** How a host is reached. */
export interface Connection {
  /** Where it listens, such as `http://127.0.0.1:4701`. */
  readonly baseUrl: string;
  /** Returns the token to call with, anew for every call; undefined calls without one. */
  readonly token?: () => string | undefined;
}

/** Return the services of a host. Nothing is sent before the first call. */
export function connect(connection: Connection): Host {
  const authorize: Interceptor = (next) => (request) => {
    const token = connection.token?.();
    if (token !== undefined) {
      request.header.set("authorization", `Bearer ${token}`);
    }
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: connection.baseUrl,
    interceptors: [authorize],
  });
  const clients = Object.entries(services).map(([noun, service]) => [
    noun,
    createClient(service, transport),
  ]);
  return Object.fromEntries(clients) as Host;
}

/** What the host says of an error besides its text; undefined for an error that is not its own. */
export function errorInfo(
  error: unknown,
): { readonly reason: string; readonly metadata: Readonly<Record<string, string>> } | undefined {
  for (const detail of ConnectError.from(error).details) {
    // The same message as google.rpc.ErrorInfo, under the name that every client of gRPC knows.
    if ("type" in detail && detail.type === "google.rpc.ErrorInfo") {
      const { reason, metadata } = fromBinary(ErrorInfoSchema, detail.value);
      return { reason, metadata };
    }
  }
  return undefined;
}

/** How a watch of events begins and ends. */
export interface WatchOptions {
  /** Goes on after what the holder of the token has seen. */
  readonly resumeToken?: string;
  /** With no token, begins with the oldest stored event. */
  readonly fromBeginning?: boolean;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** How long to wait before connecting again, in milliseconds, by the number of failures in a row. */
  readonly pauseMs?: (failures: number) => number;
}

const resumable = new Set([Code.Unavailable, Code.Internal, Code.Unknown, Code.DeadlineExceeded]);

/**
 * Yield every matching event, in order and each once, through lost connections.
 *
 * Ends when the signal says so, or with the error that says why it cannot go on.
 */
export async function* watchEvents(
  host: Host,
  filter: MessageInitShape<typeof EventFilterSchema> = {},
  options: WatchOptions = {},
): AsyncGenerator<StoredEvent, void, undefined> {
  const pauseMs = options.pauseMs ?? ((failures) => Math.min(2000, 100 * 2 ** (failures - 1)));
  let resumeToken = options.resumeToken ?? "";
  let failures = 0;
  while (!options.signal?.aborted) {
    const request = { filter, resumeToken, fromBeginning: options.fromBeginning ?? false };
    try {
      const call = options.signal ? { signal: options.signal } : {};
      for await (const part of host.events.watchEvents(request, call)) {
        failures = 0;
        yield* part.events;
        resumeToken = part.resumeToken;
      }
      failures += 1;
    } catch (error) {
      if (options.signal?.aborted) {
        return;
      }
      if (!resumable.has(ConnectError.from(error).code)) {
        throw error;
      }
      failures += 1;
    }
    await pause(pauseMs(failures), options.signal);
  }
}

/** Wait, or end at once when the signal says so. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done);
  });
}
