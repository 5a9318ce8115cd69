// An EMM's server at a Google that is played, with Google's own library for Node: `node emm.js <case> <url> <key file>`.
// Devices are played by the test that starts it: a line of JSON asks for one, a line answers.

const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const readline = require("node:readline");
const { androidmanagement, auth } = require("@googleapis/androidmanagement");

const SCOPE = "https://www.googleapis.com/auth/androidmanagement";
const heard = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Has the test play a device.
async function device(act, of) {
  console.log(JSON.stringify({ act, ...of }));
  return JSON.parse((await heard.next()).value);
}

// The library would exchange its token at Google whatever the key file says; one that it signs itself needs no exchange.
function android(url, file) {
  const { client_email: email, private_key: key, private_key_id: keyId } = JSON.parse(readFileSync(file));
  const account = new auth.JWT({ email, key, keyId, scopes: [SCOPE] });
  account.useJWTAccessWithScope = true;
  return androidmanagement({ version: "v1", auth: account, rootUrl: `${url}/` });
}

async function signUp(service) {
  const asked = { projectId: "p1", callbackUrl: "https://emm.example/cb" };
  const begun = (await service.signupUrls.create(asked)).data;
  const agreed = await fetch(begun.url, { redirect: "manual" });
  const enterpriseToken = new URL(agreed.headers.get("location")).searchParams.get("enterpriseToken");
  const by = { projectId: "p1", signupUrlName: begun.name, enterpriseToken, requestBody: {} };
  return (await service.enterprises.create(by)).data.name;
}

async function refused(call) {
  try {
    await call;
  } catch (error) {
    return { status: error.response.status, error: error.response.data.error };
  }
  assert.fail("an error was expected");
}

// What a server does most, and what the library makes of refusals: it asks again by itself, but only with GET.
async function management(url, key) {
  const service = android(url, key);
  const { devices, enrollmentTokens, policies } = service.enterprises;
  const parent = await signUp(service);
  const policy = { name: `${parent}/policies/p`, requestBody: { cameraDisabled: true } };
  assert.strictEqual((await policies.patch(policy)).data.version, "1");
  const token = (await enrollmentTokens.create({ parent, requestBody: { policyName: "p" } })).data.value;
  const names = [];
  for (const serial of ["a", "b", "c"]) {
    names.push((await device("enroll", { token, serial })).name);
  }
  const listed = [];
  let pageToken;
  do {
    const page = (await devices.list({ parent, pageSize: 2, pageToken, fields: "devices/name,nextPageToken" })).data;
    listed.push(...page.devices.map((of) => of.name));
    pageToken = page.nextPageToken;
  } while (pageToken);
  assert.deepStrictEqual(listed.sort(), names.sort());
  const [name] = names;
  await device("report", { device: name, applied: 1, report: {} });
  assert.strictEqual((await devices.get({ name })).data.appliedPolicyVersion, "1");
  const change = { name, updateMask: "state", requestBody: { state: "DISABLED" } };
  assert.strictEqual((await devices.patch(change)).data.state, "DISABLED");
  const lock = (await devices.issueCommand({ name, requestBody: { type: "LOCK" } })).data;
  await device("done", { operation: lock.name });
  assert.ok((await devices.operations.get({ name: lock.name })).data.done);

  for (const fault of ["unavailable", "quota"]) {
    await device("fault", { fault, about: ["enterprises.devices.get", "enterprises.devices.issueCommand"], nth: 1 });
    assert.strictEqual((await devices.get({ name })).data.name, name);
  }
  assert.deepStrictEqual(await device("struck", {}), { quota: 1, unavailable: 1 });
  await device("fault", { fault: "quota", about: ["enterprises.devices.issueCommand"], nth: 1 });
  const { status, error } = await refused(devices.issueCommand({ name, requestBody: { type: "LOCK" } }));
  assert.deepStrictEqual([status, error.status, error.details[0].reason], [429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"]);
  await devices.delete({ name });
  const gone = await refused(devices.get({ name }));
  assert.deepStrictEqual([gone.status, gone.error.status], [404, "NOT_FOUND"]);
}

const [, , name, url, key] = process.argv;
({ management })[name](url, key).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
