// Drives weir through the official Node.js SDK, unchanged: node sdk.js PORT SCENARIO
// A scenario that needs something done to the server prints "ask WORD" and waits for a line.
'use strict';

const assert = require('assert');
const readline = require('readline');
const sm = require('aws-greengrass-core-sdk/stream-manager');
const data = require('aws-greengrass-core-sdk/stream-manager/data');
const exceptions = require('aws-greengrass-core-sdk/stream-manager/exceptions');
const util = require('aws-greengrass-core-sdk/stream-manager/util');

const port = Number(process.argv[2]);
const scenarioName = process.argv[3];
const quiet = { error() {}, info() {}, debug() {}, warn() {} };
const stdin = readline.createInterface({ input: process.stdin });
const answers = stdin[Symbol.asyncIterator]();

async function ask(word) {
  console.log(`ask ${word}`);
  return (await answers.next()).value;
}

function connect(options = {}) {
  return new Promise((resolve, reject) => {
    const client = new sm.StreamManagerClient({
      port,
      logger: quiet,
      onConnectCb: () => resolve(client),
      onErrorCb: reject,
      ...options,
    });
  });
}

const strategy = data.StrategyOnFull;

function definition(name, full = strategy.OverwriteOldestData) {
  return new data.MessageStreamDefinition().withName(name).withStrategyOnFull(full);
}

function readOptions({ start, min, max, timeout }) {
  const options = new data.ReadMessagesOptions();
  if (start !== undefined) options.withDesiredStartSequenceNumber(start);
  if (min !== undefined) options.withMinMessageCount(min);
  if (max !== undefined) options.withMaxMessageCount(max);
  if (timeout !== undefined) options.withReadTimeoutMillis(timeout);
  return options;
}

// The exception must be exactly of this class, with the server's own status and text.
async function refuses(promise, type, status, text) {
  let error = null;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `expected ${type.name}, but it succeeded`);
  assert.strictEqual(error.constructor.name, type.name, `${error}`);
  if (status !== undefined) assert.strictEqual(error.statusCode ?? error.status, status);
  if (text instanceof RegExp) assert.match(error.message, text);
  else if (text !== undefined) assert.strictEqual(error.message, text);
  return error;
}

const scenarios = {
  async every_operation(client) {
    assert.deepStrictEqual(await client.listStreams(), []);
    await client.createMessageStream(
      definition('SomeStream', strategy.RejectNewData)
        .withMaxSize(268435456).withStreamSegmentSize(16777216).withTimeToLiveMillis(3600000)
        .withFlushOnWrite(true).withPersistence(data.Persistence.File)
        .withExportDefinition(new data.ExportDefinition()
          .withKinesis([new data.KinesisConfig().withIdentifier('k1').withKinesisStreamName('kds')
            .withBatchSize(100).withBatchIntervalMillis(60000).withPriority(2)
            .withStartSequenceNumber(0).withDisabled(true)])
          .withHttp([new data.HTTPConfig().withIdentifier('h1').withUri('http://127.0.0.1:1/')
            .withExportFormat(data.ExportFormat.JSON_BATCHED).withDisabled(true)])
          .withIotAnalytics([new data.IoTAnalyticsConfig().withIdentifier('a1')
            .withIotChannel('channel').withIotMsgIdPrefix('prefix').withDisabled(true)])
          .withIotSitewise([new data.IoTSiteWiseConfig().withIdentifier('s1').withDisabled(true)])
          .withS3TaskExecutor([new data.S3ExportTaskExecutorConfig().withIdentifier('x1')
            .withDisabled(true)]))
    );
    for (let number = 0; number < 10; number += 1) {
      assert.strictEqual(await client.appendMessage('SomeStream', Buffer.from(`m${number}`)), number);
    }
    const one = await client.readMessages('SomeStream');
    assert.strictEqual(one.length, 1);
    assert.strictEqual(one[0].payload.toString(), 'm0');
    assert.strictEqual(one[0].streamName, 'SomeStream');
    assert.ok(one[0].ingestTime > 1600000000000);
    assert.strictEqual((await client.readMessages('SomeStream', new data.ReadMessagesOptions())).length, 1);
    const some = await client.readMessages('SomeStream',
      readOptions({ start: 3, min: 2, max: 5, timeout: 1000 }));
    assert.deepStrictEqual(some.map((m) => m.sequenceNumber), [3, 4, 5, 6, 7]);

    const info = await client.describeMessageStream('SomeStream');
    assert.strictEqual(info.definition.name, 'SomeStream');
    assert.strictEqual(info.definition.timeToLiveMillis, 3600000);
    assert.strictEqual(info.definition.flushOnWrite, true);
    assert.strictEqual(info.definition.persistence, data.Persistence.File);
    assert.strictEqual(info.definition.strategyOnFull, strategy.RejectNewData);
    assert.strictEqual(info.definition.exportDefinition.kinesis[0].kinesisStreamName, 'kds');
    assert.strictEqual(info.definition.exportDefinition.http[0].exportFormat, data.ExportFormat.JSON_BATCHED);
    assert.strictEqual(info.storageStatus.oldestSequenceNumber, 0);
    assert.strictEqual(info.storageStatus.newestSequenceNumber, 9);
    assert.ok(info.storageStatus.totalBytes >= 20);
    assert.deepStrictEqual(info.exportStatuses.map((s) => s.exportConfigIdentifier),
      ['h1', 'a1', 'k1', 's1', 'x1']);
    assert.strictEqual(info.exportStatuses[0].lastExportedSequenceNumber, -1);

    // As the guide tells applications: describe, change, send back the whole definition.
    info.definition.withMaxSize(536870912);
    info.definition.exportDefinition.kinesis = [];
    await client.updateMessageStream(info.definition);
    const after = await client.describeMessageStream('SomeStream');
    assert.strictEqual(after.definition.maxSize, 536870912);
    assert.deepStrictEqual(after.definition.exportDefinition.kinesis, []);
    assert.strictEqual(after.exportStatuses.length, 4);

    assert.deepStrictEqual(await client.listStreams(), ['SomeStream']);
    await client.deleteMessageStream('SomeStream');
    assert.deepStrictEqual(await client.listStreams(), []);
  },

  async defaults_of_the_sdk(client) {
    await client.createMessageStream(definition('plain'));
    const { definition: kept } = await client.describeMessageStream('plain');
    assert.strictEqual(kept.maxSize, 268435456);
    assert.strictEqual(kept.streamSegmentSize, 16777216);
    assert.strictEqual(kept.persistence, data.Persistence.File);
    assert.strictEqual(kept.flushOnWrite, false);
    for (const list of ['http', 'iotAnalytics', 'kinesis', 'IotSitewise', 's3TaskExecutor']) {
      assert.deepStrictEqual(kept.exportDefinition[list], [], list);
    }
    await client.createMessageStream(definition('small').withMaxSize(1048576));
    await client.createMessageStream(definition('bare').withMaxSize(null).withStreamSegmentSize(null));
    assert.strictEqual((await client.describeMessageStream('bare')).definition.maxSize, 268435456);
  },

  async refusals_become_the_right_exceptions(client) {
    const missing = 'the requested message stream does not exist';
    await client.createMessageStream(definition('there', strategy.RejectNewData).withMaxSize(4096));
    await refuses(client.createMessageStream(definition('there')), exceptions.InvalidRequestException,
      data.ResponseStatusCode.InvalidRequest, 'the message stream already exists');
    await refuses(client.deleteMessageStream('no'), exceptions.ResourceNotFoundException,
      data.ResponseStatusCode.ResourceNotFound, missing);
    await refuses(client.appendMessage('no', Buffer.from('x')), exceptions.ResourceNotFoundException, undefined, missing);
    await refuses(client.readMessages('no'), exceptions.ResourceNotFoundException, undefined, missing);
    await refuses(client.describeMessageStream('no'), exceptions.ResourceNotFoundException, undefined, missing);
    await refuses(client.updateMessageStream(definition('no')), exceptions.ResourceNotFoundException, undefined, missing);
    await refuses(client.readMessages('there'), exceptions.NotEnoughMessagesException,
      data.ResponseStatusCode.NotEnoughMessages, 'not enough messages to return before time out');
    await refuses(client.readMessages('there', readOptions({ timeout: 100 })), exceptions.NotEnoughMessagesException);
    await refuses(client.updateMessageStream(definition('there').withPersistence(data.Persistence.Memory)),
      exceptions.UpdateNotAllowedException, data.ResponseStatusCode.UpdateNotAllowed, 'persistence cannot be updated');
    await refuses((async () => {
      for (;;) await client.appendMessage('there', Buffer.alloc(500));
    })(), exceptions.InvalidRequestException, undefined, 'the message stream is full');
    await refuses(client._sendAndReceive(data.Operation.ListStreamsResponse, new data.ListStreamsRequest())
      .then((response) => require('aws-greengrass-core-sdk/stream-manager/utilInternal').throwOnErrorResponse(response)),
    exceptions.UnknownOperationException, data.ResponseStatusCode.UnknownOperation);
    // The client is still well after every one of them.
    assert.deepStrictEqual(await client.listStreams(), ['there']);
  },

  async the_documented_maximum_of_max_size(client) {
    await client.createMessageStream(definition('huge').withMaxSize(9223372036854775807));
    const list = await client.listStreams();
    assert.deepStrictEqual(list, ['huge']);
  },

  async fractions_and_nan_are_refused(client) {
    for (const size of [2048.5, NaN]) {
      await refuses(client.createMessageStream(definition('odd').withMaxSize(size)),
        exceptions.InvalidRequestException, undefined, /maxSize/);
    }
    assert.deepStrictEqual(await client.listStreams(), []);
  },

  async a_thousand_calls_one_after_the_other(client) {
    await client.createMessageStream(definition('calls'));
    await ask('begin');
    for (let number = 0; number < 1000; number += 1) {
      assert.strictEqual(await client.appendMessage('calls', Buffer.alloc(100)), number);
    }
    await ask('end');
  },

  async requests_in_parallel(client) {
    await client.createMessageStream(definition('parallel'));
    const waiting = client.readMessages('parallel', readOptions({ min: 200, max: 200, timeout: 30000 }));
    const numbers = await Promise.all([...Array(200).keys()].map(
      (number) => client.appendMessage('parallel', Buffer.from(`${number}`))));
    assert.deepStrictEqual(numbers, [...Array(200).keys()]);
    const messages = await waiting;
    assert.deepStrictEqual(messages.map((m) => m.payload.toString()), numbers.map(String));
  },

  async a_message_of_60_mib(client) {
    await client.createMessageStream(definition('large'));
    const payload = Buffer.alloc(60 << 20);
    for (let at = 0; at < payload.length; at += 4) payload.writeUInt32LE(at, at);
    assert.strictEqual(await client.appendMessage('large', payload), 0);
    const [message] = await client.readMessages('large');
    assert.ok(message.payload.equals(payload));
  },

  async it_reconnects_after_a_restart(client) {
    await client.createMessageStream(definition('kept').withFlushOnWrite(true));
    await client.appendMessage('kept', Buffer.from('before'));
    await ask('restart');
    const [message] = await client.readMessages('kept');
    assert.strictEqual(message.payload.toString(), 'before');
    assert.strictEqual(await client.appendMessage('kept', Buffer.from('after')), 1);
  },

  async a_full_disk(client) {
    await client.createMessageStream(definition('disk').withFlushOnWrite(true));
    await client.appendMessage('disk', Buffer.from('before'));
    await ask('full');
    await refuses(client.appendMessage('disk', Buffer.alloc(100000)), exceptions.UnknownFailureException,
      data.ResponseStatusCode.UnknownFailure, /file too large|File too large/i);
    await refuses(client.updateMessageStream(definition('disk').withFlushOnWrite(true).withMaxSize(64 << 20)), exceptions.UpdateFailedException,
      data.ResponseStatusCode.UpdateFailed);
    assert.strictEqual((await client.readMessages('disk'))[0].payload.toString(), 'before');
    assert.deepStrictEqual(await client.listStreams(), ['disk']);
    await ask('room');
    const number = await client.appendMessage('disk', Buffer.from('after'));
    const [message] = await client.readMessages('disk', readOptions({ start: number }));
    assert.strictEqual(message.payload.toString(), 'after');
    await client.updateMessageStream(definition('disk').withFlushOnWrite(true).withMaxSize(64 << 20));
  },

  async a_request_above_the_limit(client) {
    await client.createMessageStream(definition('limit'));
    await refuses(client.appendMessage('limit', Buffer.alloc(100000)), exceptions.RequestPayloadTooLargeException,
      data.ResponseStatusCode.RequestPayloadTooLarge);
    assert.strictEqual(await client.appendMessage('limit', Buffer.from('small')), 0);
  },

  async an_answer_that_cannot_fit(client) {
    await refuses(client.readMessages('gigabyte', readOptions({ min: 40, max: 40 })),
      exceptions.ResponsePayloadTooLargeException, data.ResponseStatusCode.ResponsePayloadTooLarge);
    assert.deepStrictEqual(await client.listStreams(), ['gigabyte']);
  },

  async a_waiting_read_when_the_server_stops(client) {
    await client.createMessageStream(definition('wait'));
    const waiting = client.readMessages('wait', readOptions({ timeout: 60000 }));
    waiting.catch(() => {});
    await client.listStreams(); // the read has arrived
    await ask('stop');
    await refuses(waiting, exceptions.ServerTimeoutException, data.ResponseStatusCode.ServerTimeout);
  },

  async stored_data_that_cannot_be_read(client) {
    await refuses(client.readMessages('damaged', readOptions({ start: 20 })),
      exceptions.MessageStoreReadErrorException, data.ResponseStatusCode.MessageStoreReadError);
    assert.strictEqual((await client.readMessages('damaged'))[0].sequenceNumber, 0);
    assert.strictEqual((await client.readMessages('damaged', readOptions({ start: 99 })))[0].sequenceNumber, 99);
    assert.strictEqual(await client.appendMessage('damaged', Buffer.from('goes on')), 100);
  },

  async damaged_messages_are_skipped(client) {
    const numbers = (await client.readMessages('damaged', readOptions({ min: 1, max: 10 }))).map((m) => m.sequenceNumber);
    assert.deepStrictEqual(numbers, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
  },

  async sitewise_entries(client) {
    await client.createMessageStream(definition('assets').withExportDefinition(
      new data.ExportDefinition().withIotSitewise([
        new data.IoTSiteWiseConfig().withIdentifier('s').withBatchSize(10)])));
    const now = Math.floor(Date.now() / 1000);
    for (let number = 0; number < 30; number += 1) {
      const values = [
        new data.Variant().withDoubleValue(number), // written without a fraction
        new data.Variant().withIntegerValue(number),
        new data.Variant().withStringValue(`\u00e9 "${number}"`),
        new data.Variant().withBooleanValue(number % 2 === 0)];
      const entry = new data.PutAssetPropertyValueEntry().withEntryId('always-the-same')
        .withPropertyAlias('/plant/\u00fc')
        .withPropertyValues([new data.AssetPropertyValue().withValue(values[number % 4])
          .withQuality(data.Quality.GOOD)
          .withTimestamp(new data.TimeInNanos().withTimeInSeconds(now - 60 + number)
            .withOffsetInNanos(number))]);
      await client.appendMessage('assets', util.validateAndSerializeToJsonBytes(entry));
    }
  },
  async status_documents_parse(client) {
    // What the SDK's helpers write is kept byte for byte.
    const task = new data.S3ExportTaskDefinition().withInputUrl('file:/tmp/x').withBucket('my-bucket')
      .withKey('dir/!{timestamp:yyyy/MM/dd}/f').withUserMetadata({ k: 'v' });
    const bytes = util.validateAndSerializeToJsonBytes(task);
    await client.createMessageStream(definition('tasks'));
    await client.appendMessage('tasks', bytes);
    const [message] = await client.readMessages('tasks');
    const parsed = util.deserializeJsonBytesToObj(message.payload, data.S3ExportTaskDefinition);
    assert.strictEqual(parsed.inputUrl, 'file:/tmp/x');
  },
  async statuses_of_uploads(client) {
    // Needs an S3 behind weir; see s3_test.py, which made the stream "status" and the files.
    const executor = new data.S3ExportTaskExecutorConfig().withIdentifier('s3').withStatusConfig(
      new data.StatusConfig().withStatusLevel(data.StatusLevel.TRACE).withStatusStreamName('status'));
    await client.createMessageStream(definition('tasks').withExportDefinition(
      new data.ExportDefinition().withS3TaskExecutor([executor])));
    for (const name of ['good', 'missing']) {
      const task = new data.S3ExportTaskDefinition().withInputUrl(`file:${process.env.S3_FILES}/${name}`)
        .withBucket('bucket').withKey(`sdk/!{timestamp:yyyy/MM/dd}/${name}`).withUserMetadata({ k: 'v' });
      await client.appendMessage('tasks', util.validateAndSerializeToJsonBytes(task));
    }
    const told = await client.readMessages('status', readOptions({ start: 0, min: 3, max: 3, timeout: 30000 }));
    const statuses = told.map((m) => util.deserializeJsonBytesToObj(m.payload, data.StatusMessage));
    assert.deepStrictEqual(
      statuses.map((s) => [s.statusContext.sequenceNumber, s.status.asMap(), s.statusLevel.asMap()]),
      [[0, data.Status.InProgress.asMap(), data.StatusLevel.INFO.asMap()],
        [0, data.Status.Success.asMap(), data.StatusLevel.INFO.asMap()],
        [1, data.Status.Failure.asMap(), data.StatusLevel.ERROR.asMap()]]);
    for (const s of statuses) {
      assert.strictEqual(s.eventType.asMap(), data.EventType.S3Task.asMap());
      assert.strictEqual(s.statusContext.streamName, 'tasks');
      assert.strictEqual(s.statusContext.exportIdentifier, 's3');
      assert.ok(s.statusContext.s3ExportTaskDefinition.inputUrl.startsWith('file:/'));
      assert.strictEqual(typeof s.message, 'string');
    }
  },
};

const withoutClient = {
  async no_token() {
    await refuses(connect(), exceptions.ConnectFailedException);
  },
  async the_right_token() {
    const client = await connect();
    assert.deepStrictEqual(await client.listStreams(), []);
    client.close();
  },
};

async function main() {
  if (withoutClient[scenarioName]) {
    await withoutClient[scenarioName]();
  } else {
    const client = await connect();
    await scenarios[scenarioName](client);
    client.close();
  }
  console.log('passed');
}

// A refused first connect also surfaces as a rejection nobody handles; that is the SDK's way.
process.on('unhandledRejection', () => {});
main().then(() => process.exit(0), (error) => {
  console.log(`failed: ${error.stack || error}`);
  process.exit(1);
});
