// Kinesis for tests: kinesalite from npm on a port of the system's choice, loopback only, with a
// fault queue. Prints "port N". Each line on stdin is a JSON list of faults; every PutRecords call
// takes the next one:  {"fail": [1, 3], "code": "..."}   these records are refused, not stored
//                      {"status": 400, "type": "..."}    the whole call is refused
//                      {}                                nothing
'use strict';

const readline = require('readline');

const faults = [];
let calls = 0;

const path = require.resolve('kinesalite/actions/putRecords');
const real = require(path);
require.cache[path].exports = function putRecords(store, data, callback) {
  calls += 1;
  const fault = faults.shift() || {};
  if (fault.status) {
    const error = new Error(fault.type);
    error.statusCode = fault.status;
    error.body = { __type: fault.type, message: `${fault.type} by order of the test` };
    callback(error);
    return;
  }
  const refused = new Set(fault.fail || []);
  if (refused.size === 0) {
    real(store, data, callback);
    return;
  }
  const kept = data.Records.filter((_, index) => !refused.has(index));
  const answer = (error, result) => {
    if (error) {
      callback(error);
      return;
    }
    const stored = result.Records.slice();
    const Records = data.Records.map((_, index) => (refused.has(index)
      ? { ErrorCode: fault.code || 'ProvisionedThroughputExceededException', ErrorMessage: 'by order of the test' }
      : stored.shift()));
    callback(null, { FailedRecordCount: data.Records.length - kept.length, Records });
  };
  if (kept.length === 0) answer(null, { Records: [] });
  else real(store, { ...data, Records: kept }, answer);
};

// It throws when a client leaves in the middle of a request, which clients that stop or are killed do.
process.on('uncaughtException', (error) => {
  if (!['ECONNRESET', 'EPIPE'].includes(error.code)) throw error;
});

const server = require('kinesalite')({ createStreamMs: 1, deleteStreamMs: 1, updateStreamMs: 1, shardLimit: 50 });
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  faults.push(...JSON.parse(line));
  console.log(`queued ${faults.length} calls ${calls}`);
}).on('close', () => process.exit(0));
